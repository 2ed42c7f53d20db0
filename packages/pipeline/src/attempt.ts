import { Cause, type Duration, Effect, Exit, type Schedule } from "effect"
import { milliseconds } from "./check.ts"
import { type DeadLetter, isDeadLetter } from "./deadLetter.ts"
import { check } from "./error.ts"
import { DeadLettered, type Fn, type MapEffectNode } from "./nodes.ts"

export interface MapEffectOptions<A, E, E2, SE, SR> {
  /** How many records of a lane may be under way at once. Results stay in order. Default: 16. */
  readonly concurrency?: number
  /** When to try again after a typed error; what remains of it when the schedule ends is the step's error. */
  readonly retry?: Schedule.Schedule<unknown, NoInfer<E | E2>, SE, SR>
  /**
   * How long one attempt may take, since a slow one holds back its partition's watermark. Default: 30 seconds.
   * "Infinity" waits forever.
   */
  readonly timeout?: Duration.Input
  /** The typed error of an attempt that timed out. Default: a defect, which restarts the lane from what is committed. */
  readonly timeoutError?: (record: A) => E2
}

export type Attempt = Fn<Effect.Effect<object, unknown, unknown>>
export type Handler = DeadLetter | ((error: never) => unknown)
export type Spec = Omit<MapEffectNode, "id" | "input">
/** What there is of the options once their types have done their work. */
interface Options extends Omit<MapEffectOptions<never, unknown, unknown, unknown, unknown>, "retry"> {
  readonly retry?: Schedule.Schedule<unknown, never, unknown, unknown>
}

/** The step before any error is handled: its `run` may still fail. */
export const attempting = (fn: Attempt, options: Options): Spec => ({
  kind: "mapEffect",
  run: unhandled(retried(limited(guarded(fn), fn.name, options), options.retry)),
  concurrency: concurrency(options.concurrency ?? 16),
  deadLetters: []
})

const concurrency = (value: number): number => {
  check(
    Number.isSafeInteger(value) && value >= 1,
    () => `the concurrency of a mapEffect is ${value}: it has to be a whole number, at least 1`
  )
  return value
}

/** A function that throws is a defect, like an Effect that dies. */
const guarded =
  (fn: Attempt): Attempt =>
  record => {
    try {
      return fn(record)
    } catch (defect) {
      return Effect.die(defect)
    }
  }

const limited = (run: Attempt, name: string, { timeout, timeoutError }: Options): Attempt => {
  if (timeout === "Infinity") return run
  const ms = milliseconds("the timeout of a mapEffect", timeout ?? "30 seconds", 1)
  const defect = Effect.die(new Cause.TimeoutError(`mapEffect ${name} took longer than ${ms} ms`))
  return unlessSettled(run, (effect, record) =>
    Effect.timeoutOrElse(effect, {
      duration: ms,
      orElse: () => (timeoutError === undefined ? defect : Effect.fail(timeoutError(record)))
    })
  )
}

const retried = (run: Attempt, schedule: Options["retry"]): Attempt =>
  schedule === undefined
    ? run
    : unlessSucceeded(run, effect =>
        Effect.retry(effect, schedule as Schedule.Schedule<unknown, unknown, unknown, unknown>)
      )

type Wrap = (effect: Effect.Effect<object, unknown, unknown>, record: never) => Effect.Effect<object, unknown, unknown>

/** A result that is there at once stays as it is, so that the engine can take it without a fiber. */
const unlessSucceeded =
  (run: Attempt, wrap: Wrap): Attempt =>
  record => {
    const effect = run(record)
    return Exit.isExit(effect) && Exit.isSuccess(effect) ? effect : wrap(effect, record)
  }

const unlessSettled =
  (run: Attempt, wrap: Wrap): Attempt =>
  record => {
    const effect = run(record)
    return Exit.isExit(effect) ? effect : wrap(effect, record)
  }

/** The builder's types see to it that no error is left once the plan is made. */
const unhandled = (run: Attempt) => run as Spec["run"]
const fallible = (step: Spec) => step.run as Attempt

/** Handles the errors of the step that `matches` says, by a dead letter or a replacement. */
export const recovered = (step: Spec, matches: (error: unknown) => boolean, handler: Handler): Spec => {
  const handle = isDeadLetter(handler)
    ? (error: unknown) => Effect.succeed(new DeadLettered(handler.topic, error))
    : (error: unknown) => replacement(handler(error as never))
  const run = unlessSucceeded(fallible(step), effect => Effect.catchIf(effect, matches, handle))
  return { ...step, run: unhandled(run), deadLetters: withTopic(step.deadLetters, handler) }
}

const replacement = (value: unknown) =>
  (Effect.isEffect(value) ? value : Effect.succeed(value)) as Effect.Effect<object, unknown, unknown>

const withTopic = (topics: readonly string[], handler: Handler): readonly string[] =>
  isDeadLetter(handler) ? [...new Set([...topics, handler.topic])].sort() : topics

/** Any error that is left becomes a defect. */
export const fatal = (step: Spec): Spec => ({
  ...step,
  run: unhandled(unlessSucceeded(fallible(step), effect => Effect.orDie(effect)))
})

/** Whether an error has this `_tag`. */
export const hasTag =
  (tag: string) =>
  (error: unknown): boolean =>
    typeof error === "object" && error !== null && "_tag" in error && error._tag === tag
