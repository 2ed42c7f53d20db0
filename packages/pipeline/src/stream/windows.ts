import type { Agg, Results } from "../agg.ts"
import { type Change, type DeduplicateOptions, deduplicateDraft } from "../deduplicate.ts"
import type { KafkaSink } from "../sink.ts"
import type { Windowing } from "../window.ts"
import { windowAllDraft } from "../windowAll.ts"
import { windowDraft } from "../windowDraft.ts"
import { EffectSteps } from "./effects.ts"
import type { Stream } from "./stream.ts"

/** What an unkeyed stream asks for in place of a window. */
export interface NotKeyed {
  readonly "a window needs a keyed stream: call keyBy before window": never
}

/** What a window over all keys emits: its bounds in event time ms, the end exclusive, and the aggregates. */
export type WindowedAll<Aggs> = { readonly windowStart: number; readonly windowEnd: number } & Results<Aggs>
/** What a window of each key emits. */
export type Windowed<K, Aggs> = { readonly key: K } & WindowedAll<Aggs>
/**
 * How a window says that a result takes the place of an earlier one, after late records or an early firing: `upsert`, by the
 * result itself, to be found by key and window; `retract`, as `Change`s: the earlier one is taken back before it comes.
 */
export type Updates = "upsert" | "retract"
type Updated<U extends Updates, A extends object> = U extends "retract" ? Change<A> : A
/** What becomes of late records of a window, and how a result says that it replaces an earlier one. */
export interface WindowResults<in A, U extends Updates> {
  /** Where records go that come when their windows are over for good. Without it they are counted and dropped. */
  readonly late?: KafkaSink<A>
  /** Default: `upsert`. */
  readonly updates?: U
}

/** Windows, and the choice of one record of many. */
export abstract class WindowSteps<out A extends object, out K, out E, out R> extends EffectSteps<A, K, E, R> {
  /**
   * Folds the records of each key and window, and emits `{ key, windowStart, windowEnd, ...aggregates }` when the
   * watermark passes the window's end. Late records go to `late`; without it they are counted and dropped.
   */
  window<const Aggs extends Readonly<Record<string, Agg<A, unknown>>>, const U extends Updates = "upsert">(
    window: [K] extends [never] ? NotKeyed : Windowing<A>,
    aggregates: Aggs,
    options: WindowResults<A, U> = {}
  ): Stream<Updated<U, Windowed<K, Aggs>>, K, E, R> {
    const { late, updates = "upsert" } = options
    return this.behind(windowDraft(this.last, window as Windowing<never>, { aggregates, late, updates }))
  }

  /**
   * Folds the records of all keys of each window, wherever they are, and emits `{ windowStart, windowEnd, ...aggregates }`: what a
   * `keyBy` of one key would give, without sending each record to one partition. What came in a transaction is folded
   * first, where it came from, and only that crosses. (Not for sessions, triggers, evictors, lists, custom aggregates without
   * a `merge`, and with a sink for late records: these see each record. `explain` says so.) Sums of fractions are
   * rounded in another order.
   */
  windowAll<const Aggs extends Readonly<Record<string, Agg<A, unknown>>>, const U extends Updates = "upsert">(
    window: Windowing<A>,
    aggregates: Aggs,
    options: WindowResults<A, U> = {}
  ): Stream<Updated<U, WindowedAll<Aggs>>, never, E, R> {
    const { late, updates = "upsert" } = options
    return this.behind(windowAllDraft(this.last, window as Windowing<never>, { aggregates, late, updates }))
  }

  /** Of each key one record, the first or the last by event time: see `DeduplicateOptions`. */
  deduplicate<const M extends "changes" | "once">(
    options: DeduplicateOptions<A, M>
  ): Stream<M extends "once" ? A : Change<A>, K, E, R> {
    return this.behind(deduplicateDraft(this.last, options))
  }
}
