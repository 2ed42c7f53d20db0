import type { LogError } from "@headrace/engine"
import { Effect, Schedule } from "effect"
import { KafkaError } from "./error.ts"

/** A coordinator is chosen, moves to another broker, or reads its log: so it is for each group that was just made. */
const MOVING: ReadonlySet<string> = new Set([
  "NOT_COORDINATOR",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS"
])

const isMoving = ({ cause }: LogError): boolean => cause instanceof KafkaError && MOVING.has(cause.code.name)

/** For five seconds: a coordinator that is not there by then is news. */
const QUIETLY = { schedule: Schedule.spaced("200 millis"), times: 25, while: isMoving }

/** Asks a coordinator again while it is on its way, without a word. */
export const onceCoordinated = <A, R>(ask: Effect.Effect<A, LogError, R>): Effect.Effect<A, LogError, R> =>
  Effect.retry(ask, QUIETLY)
