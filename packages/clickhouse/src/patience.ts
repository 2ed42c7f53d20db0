import { type LaneMetrics, type LogError, PHASES, type Phase } from "@headrace/engine"
import { Effect, Schedule } from "effect"
import { LogGone, LogStopped, Refused } from "./errors.ts"
import type { CallError } from "./server.ts"

export const patiently = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/** Repeating may help. */
export const passes = ({ failure }: LogError): boolean =>
  failure !== "Fenced" && failure !== "Stop" && failure !== "Gone"

export const stopped = (error: LogError): LogStopped | LogGone => {
  const reason = { message: error.message, cause: error }
  // A static member that the network cut off can be fenced by its own attempt to come back: another session mends that. Of
  // two processes with one name the supervisor tires.
  return error.failure === "Gone" || error.failure === "Fenced" ? new LogGone(reason) : new LogStopped(reason)
}

/** Repeats calls while that may help, and shows meanwhile that the sink waits. */
export class Patience {
  private readonly table: string
  private readonly metrics: LaneMetrics

  constructor(table: string, metrics: LaneMetrics) {
    this.table = table
    this.metrics = metrics
  }

  withLog<A, E>(call: Effect.Effect<A, E | LogError>): Effect.Effect<A, Exclude<E, LogError> | LogStopped | LogGone> {
    return call.pipe(
      Effect.tapError(error => (isLogError(error) && passes(error) ? this.waiting(error) : Effect.void)),
      Effect.retry({ schedule: patiently, while: error => isLogError(error) && passes(error) }),
      Effect.mapError(error => (isLogError(error) ? stopped(error) : (error as Exclude<E, LogError>)))
    )
  }

  /** For ever, while the server may come back. */
  withServer<A>(call: Effect.Effect<A, CallError>, what: string): Effect.Effect<A, Refused> {
    return call.pipe(
      Effect.tapError(error => (error._tag === "Unavailable" ? this.waiting(error) : Effect.void)),
      Effect.retry({ schedule: patiently, while: error => error._tag === "Unavailable" }),
      Effect.mapError(
        error =>
          new Refused({
            code: error._tag === "Refused" ? error.code : -1,
            message: `${what}: ${error.message}`,
            cause: error.cause
          })
      )
    )
  }

  waiting(error: { readonly message: string }): Effect.Effect<void> {
    this.phase("waiting")
    return Effect.logWarning(`${this.table}: waiting and trying again: ${error.message}`)
  }

  phase(phase: Phase): void {
    this.metrics.set("phase", PHASES.indexOf(phase))
  }
}

const isLogError = (error: unknown): error is LogError =>
  (error as { readonly _tag?: unknown } | null)?._tag === "LogError"
