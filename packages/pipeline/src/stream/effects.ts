import type { Effect, Types } from "effect"
import { type Spec as AsyncSpec, attempting, fatal, hasTag, type MapEffectOptions, recovered } from "../attempt.ts"
import type { DeadLetter } from "../deadLetter.ts"
import { type Draft, rewrite, step } from "../draft.ts"
import { type LookupOptions, lookupStep } from "../lookup.ts"
import { named, RecordSteps } from "./records.ts"
import type { AsyncStream, Stream } from "./stream.ts"

/** Asynchronous steps, and what becomes of their errors. */
export abstract class EffectSteps<out A extends object, out K, out E, out R> extends RecordSteps<A, K, E, R> {
  /**
   * Makes another record of each by an Effect, with bounded concurrency and in order. It runs at least once for each
   * record: after a crash it may run again. Its errors have to be handled (`catchTag`, `catch`) or declared fatal
   * (`orDie`) before `to`; its services are given by `Pipeline.provide`.
   */
  mapEffect<Out extends Effect.Effect<object, unknown, unknown>, E2 = never, SE = never, SR = never>(
    run: (record: A) => Out,
    options: MapEffectOptions<A, Effect.Error<Out>, E2, SE, SR> = {}
  ): AsyncStream<Effect.Success<Out>, K, E, R | Effect.Services<Out> | SR, Effect.Error<Out> | E2 | SE> {
    return this.behindEffect(step(this.last, named("mapEffect", run), attempting(run, options)))
  }

  /**
   * Looks something up for each record by an Effect: several keys at once, with a cache, at most `concurrency` records under way,
   * and in order. `combine` gets what was found, or undefined. It is an asynchronous step like `mapEffect`, and its errors
   * are handled as those are.
   */
  lookup<LK, V, LE, LR, C extends object, E2 = never, SE = never, SR = never>(
    options: LookupOptions<A, LK, V, LE, LR, E2, SE, SR>,
    combine: (record: A, found: V | undefined) => C
  ): AsyncStream<C, K, E, R | LR | SR, LE | E2 | SE> {
    const run = lookupStep(options as never, combine as never)
    return this.behindEffect(step(this.last, named("lookup", options.find), attempting(run, options as never)))
  }

  /** Sends source records to a topic whose asynchronous step failed with this `_tag`, in any step up to here. */
  catchTag<const Tag extends Types.Tags<E>>(tag: Tag, handler: DeadLetter): Stream<A, K, Types.ExcludeTag<E, Tag>, R> {
    return this.behind(rewriteAsync(this.last, spec => recovered(spec, hasTag(tag), handler)))
  }

  /** Sends source records to a topic whose asynchronous step failed, in any step up to here. */
  catch(handler: DeadLetter): Stream<A, K, never, R> {
    return this.behind(rewriteAsync(this.last, spec => recovered(spec, () => true, handler)))
  }

  /** Declares what errors are left fatal: they stop the lane, which its supervisor restarts from what is committed. */
  orDie(): Stream<A, K, never, R> {
    return this.behind(rewriteAsync(this.last, fatal))
  }

  /** The stream that ends with this asynchronous step, or with a change of its errors. */
  protected abstract behindEffect<B extends object, K2, E2, R2, E1>(last: Draft): AsyncStream<B, K2, E2, R2, E1>
}

export const rewriteAsync = (last: Draft, change: (spec: AsyncSpec) => AsyncSpec): Draft =>
  rewrite(last, spec => (spec.kind === "mapEffect" ? change(spec) : spec))
