import { Effect, Schedule } from "effect"
import type { LogError } from "./ports/log.ts"

/** For a server that does not answer: asked again for ever, soon at first and then every two seconds. */
export const untilAnswered = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")])

/** Asks the log so until it answers, and says what it fails with; only what a person must mend ends it. */
export const persistently = <A, R>(ask: Effect.Effect<A, LogError, R>): Effect.Effect<A, LogError, R> =>
  ask.pipe(
    Effect.tapError(error => Effect.logWarning(error.message)),
    Effect.retry({ schedule: untilAnswered, while: error => error.failure !== "Stop" })
  )
