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

interface Said {
  readonly message: string
}

/** Repeats calls while that may help, and shows meanwhile that the sink waits. */
export class Patience {
  private readonly table: string
  private readonly metrics: LaneMetrics
  /** What the sink does while no call waits. */
  private own: Phase = "starting"
  /** Calls that failed and are made again. */
  private readonly failing = new Set<object>()

  constructor(table: string, metrics: LaneMetrics) {
    this.table = table
    this.metrics = metrics
  }

  withLog<A, E extends Said>(
    call: Effect.Effect<A, E | LogError>
  ): Effect.Effect<A, Exclude<E, LogError> | LogStopped | LogGone> {
    return this.repeated(call, error => isLogError(error) && passes(error)).pipe(
      Effect.mapError(error => (isLogError(error) ? stopped(error) : (error as Exclude<E, LogError>)))
    )
  }

  /** For ever, while the server may come back. */
  withServer<A>(call: Effect.Effect<A, CallError>, what: string): Effect.Effect<A, Refused> {
    return this.repeated(call, error => error._tag === "Unavailable").pipe(
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

  /** The sink is shown as waiting from the first failure that repeating may mend until the call ends, whichever way. */
  repeated<A, E extends Said, R>(call: Effect.Effect<A, E, R>, mends: (error: E) => boolean): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const one = {}
      return call.pipe(
        Effect.tapError(error => (mends(error) ? this.waiting(one, error) : Effect.void)),
        Effect.retry({ schedule: patiently, while: mends }),
        Effect.ensuring(Effect.sync(() => this.gotOn(one)))
      )
    })
  }

  /** `one` waits until it has got on. */
  waiting(one: object, { message }: Said): Effect.Effect<void> {
    this.failing.add(one)
    this.show()
    return Effect.logWarning(`${this.table}: waiting and trying again: ${message}`)
  }

  gotOn(one: object): void {
    this.failing.delete(one)
    this.show()
  }

  phase(phase: Phase): void {
    this.own = phase
    this.show()
  }

  private show(): void {
    this.metrics.set("phase", PHASES.indexOf(this.failing.size > 0 ? "waiting" : this.own))
  }
}

const isLogError = (error: unknown): error is LogError =>
  (error as { readonly _tag?: unknown } | null)?._tag === "LogError"
