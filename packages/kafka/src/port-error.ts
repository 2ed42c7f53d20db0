import { messageOf } from "@headrace/core"
import { LogError, type LogFailure } from "@headrace/engine"
import { Effect } from "effect"
import { KafkaError } from "./error.ts"

/** A call to the native client as an Effect; what it rejects with becomes the engine's error. */
export const attempt = <A>(what: string, call: () => Promise<A>): Effect.Effect<A, LogError> =>
  Effect.tryPromise({ try: call, catch: cause => logError(what, cause) })

/** The same for a call that answers at once. */
export const attemptSync = <A>(what: string, call: () => A): Effect.Effect<A, LogError> =>
  Effect.try({ try: call, catch: cause => logError(what, cause) })

/** Beyond the time that a client is given to leave its group. Its threads end by themselves, sooner or later. */
const LEAVING_MS = 15_000

/** Lets go of a client. One that does not end in time is left behind: what it held ends with its session. */
export const letGo = (what: string, close: () => Promise<void>): Effect.Effect<void> =>
  attempt(what, close).pipe(
    Effect.timeoutOrElse({
      duration: LEAVING_MS,
      orElse: () => Effect.fail(overdue(what, `its threads have not ended within ${LEAVING_MS} ms; it is left behind`))
    }),
    // That a client which is of no more use cannot take its leave is no news.
    Effect.catch(error => (error.failure === "Gone" ? Effect.void : Effect.logWarning(error.message)))
  )

/** A call that librdkafka does not come back from, whatever time it was given. */
export const overdue = (what: string, why: string): LogError => new LogError("Unknown", `Cannot ${what}: ${why}`)

/** What the engine may do after a failed call. */
export const logError = (what: string, cause: unknown): LogError => {
  if (cause instanceof KafkaError) return failed(cause, `Cannot ${what}: ${cause.message}`)
  // The engine's own, thrown by what it does with records that it is handed in the call.
  if (cause instanceof LogError) return cause
  const message = messageOf(cause)
  return new LogError("Stop", `Cannot ${what}: ${message}`, { cause })
}

/** An error that came by itself, or with its own words. */
export const failed = (cause: KafkaError, message = cause.message): LogError =>
  new LogError(failureOf(cause), message, { cause })

const failureOf = (error: KafkaError): LogFailure => {
  switch (error.reason) {
    case "Fenced":
      return "Fenced"
    case "AuthFailed":
    case "InvalidArgument":
    case "RecordTooLarge":
    case "OffsetOutOfRange":
      return "Stop"
    case "TimedOut":
      return "Unknown"
    default:
      if (error.abortable) return "Abort"
      return error.fatal ? "Gone" : "Retry"
  }
}
