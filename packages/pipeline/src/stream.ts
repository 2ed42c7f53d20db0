import type { Effect, Schema, Types } from "effect"
import type { Agg, Results } from "./agg.ts"
import {
  type Spec as AsyncSpec,
  attempting,
  fatal,
  type Handler,
  hasTag,
  type MapEffectOptions,
  recovered
} from "./attempt.ts"
import { type DeadLetter, isDeadLetter } from "./deadLetter.ts"
import { type Change, type DeduplicateOptions, deduplicateDraft } from "./deduplicate.ts"
import { type Draft, rewrite, type Spec, step } from "./draft.ts"
import { dynamicDraft } from "./dynamicPatterns.ts"
import { check } from "./error.ts"
import {
  type IntervalOptions,
  intervalDraft,
  type JoinOptions,
  type JoinType,
  type Left,
  type Right,
  type TableOptions,
  type TemporalOptions,
  tableDraft,
  temporalDraft,
  windowJoinDraft
} from "./join.ts"
import { keyField } from "./keyField.ts"
import { type LookupOptions, lookupStep } from "./lookup.ts"
import { type EventOptions, type MatchOptions, matchDraft, type Selected, selected } from "./match.ts"
import type { Pattern } from "./pattern.ts"
import type { Match as DynamicMatch, Topic } from "./patterns.ts"
import { Pipeline } from "./pipeline.ts"
import {
  type BroadcastProcess,
  broadcastDraft,
  type Process,
  processDraft,
  type Sides,
  type States,
  sideDraft
} from "./process.ts"
import type { ClickHouseSink, KafkaSink } from "./sink.ts"
import { sinkDrafts } from "./sinkDraft.ts"
import type { Windowing } from "./window.ts"
import { windowAllDraft } from "./windowAll.ts"
import { windowDraft } from "./windowDraft.ts"

/** What a stream without a handled error channel asks for in place of a sink: unreadable types are no help. */
export interface UnhandledErrors<E> {
  readonly "unhandled errors: handle them with catchTag or catch, or declare them fatal with orDie": E
}
/** What an unkeyed stream asks for in place of a window. */
export interface NotKeyed {
  readonly "a window needs a keyed stream: call keyBy before window": never
}
/** What an unkeyed stream asks for in place of a process step's id. */
export type NotKeyedProcess = "process needs a keyed stream: call keyBy before process"
/** What `extend` asks for in place of a field that the record already has. */
export interface FieldExists<Name> {
  readonly "extend adds fields only: the record has this one already (use map to change it)": Name
}

type Fields<A> = Readonly<Record<string, (record: A) => unknown>>
type Extended<A, F extends Fields<A>> = A & { readonly [N in keyof F]: ReturnType<F[N]> }
type NewFields<A> = { readonly [N in keyof A]?: FieldExists<N> }
export type WindowedAll<Aggs> = { readonly windowStart: number; readonly windowEnd: number } & Results<Aggs>
export type Windowed<K, Aggs> = { readonly key: K } & WindowedAll<Aggs>
/**
 * How a window says that a result takes the place of an earlier one, after late records or an early firing: `upsert`, by the
 * result itself, to be found by key and window; `retract`, as `Change`s: the earlier one is taken back before it comes.
 */
export type Updates = "upsert" | "retract"
type Updated<U extends Updates, A extends object> = U extends "retract" ? Change<A> : A
export interface WindowResults<in A, U extends Updates> {
  readonly late?: KafkaSink<A>
  /** Default: `upsert`. */
  readonly updates?: U
}
/** What a handler gives in place of the failed result: a record, or an Effect of one. */
type Replaced<Out extends Replacement> = Out extends Effect.Effect<infer A extends object, infer _E, infer _R> ? A : Out
type ReplacedError<Out> = Out extends Effect.Effect<infer _A, infer E, infer _R> ? E : never
type ReplacedServices<Out> = Out extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
type Replacement = object | Effect.Effect<object, unknown, unknown>

/**
 * Records A on their way, keyed by K (`never` until `keyBy`), with the errors E that asynchronous steps may still
 * raise and the services R that they need. Immutable: a stream may be continued in several ways, as branches.
 */
export class Stream<out A extends object, out K = never, out E = never, out R = never> {
  declare readonly "~stream": { readonly record: A; readonly key: K; readonly error: E; readonly services: R }
  readonly name: string
  readonly last: Draft

  constructor(name: string, last: Draft) {
    this.name = name
    this.last = last
  }

  /** Keeps the records that the predicate (called once for each, on a view) says yes to. */
  filter<B extends A>(predicate: (record: A) => record is B): Stream<B, K, E, R>
  filter(predicate: (record: A) => boolean): Stream<A, K, E, R>
  filter(predicate: (record: A) => boolean): Stream<A, K, E, R> {
    return this.append(named("filter", predicate), { kind: "filter", predicate })
  }

  /** Makes another record of each. Called once for each, on a plain object. */
  map<B extends object>(map: (record: A) => B): Stream<B, K, E, R> {
    return this.append(named("map", map), { kind: "map", map })
  }

  /** Makes any number of records of each. Called once for each, on a plain object. */
  flatMap<B extends object>(flatMap: (record: A) => Iterable<B>): Stream<B, K, E, R> {
    return this.append(named("flatMap", flatMap), { kind: "flatMap", flatMap })
  }

  /**
   * Adds fields. The rest of the record stays as it is, undecoded, which makes this much cheaper than a `map` that
   * spreads it. Each function is called once for each record, on a view, and sees the record without the new fields.
   */
  extend<const F extends Fields<A>>(fields: F & NewFields<A>): Stream<Extended<A, F>, K, E, R> {
    return this.append(`extend:${Object.keys(fields).join(",")}`, { kind: "extend", fields })
  }

  /**
   * Makes another record of each by an Effect, with bounded concurrency and in order. It runs at least once for each
   * record: after a crash it may run again. Its errors have to be handled (`catchTag`, `catch`) or declared fatal
   * (`orDie`) before `to`; its services are given by `Pipeline.provide`.
   */
  mapEffect<Out extends Effect.Effect<object, unknown, unknown>, E2 = never, SE = never, SR = never>(
    run: (record: A) => Out,
    options: MapEffectOptions<A, Effect.Error<Out>, E2, SE, SR> = {}
  ): AsyncStream<Effect.Success<Out>, K, E, R | Effect.Services<Out> | SR, Effect.Error<Out> | E2 | SE> {
    return new AsyncStream(this.name, step(this.last, named("mapEffect", run), attempting(run, options)))
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
    return new AsyncStream(this.name, step(this.last, named("lookup", options.find), attempting(run, options as never)))
  }

  /** Sends source records to a topic whose asynchronous step failed with this `_tag`, in any step up to here. */
  catchTag<const Tag extends Types.Tags<E>>(tag: Tag, handler: DeadLetter): Stream<A, K, Types.ExcludeTag<E, Tag>, R> {
    return new Stream(
      this.name,
      rewriteAsync(this.last, spec => recovered(spec, hasTag(tag), handler))
    )
  }

  /** Sends source records to a topic whose asynchronous step failed, in any step up to here. */
  catch(handler: DeadLetter): Stream<A, K, never, R> {
    return new Stream(
      this.name,
      rewriteAsync(this.last, spec => recovered(spec, () => true, handler))
    )
  }

  /** Declares what errors are left fatal: they stop the lane, which its supervisor restarts from what is committed. */
  orDie(): Stream<A, K, never, R> {
    return new Stream(this.name, rewriteAsync(this.last, fatal))
  }

  /** Says what belongs together in windows and keeps its order. Called once for each record, on a view. */
  keyBy<K2 extends string | number | bigint>(key: (record: A) => K2): Stream<A, K2, E, R> {
    const field = keyField(key)
    return this.append(field === undefined ? named("keyBy", key) : `keyBy:${field}`, { kind: "keyBy", key, field })
  }

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
    return new Stream(this.name, windowDraft(this.last, window as Windowing<never>, { aggregates, late, updates }))
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
    return new Stream(this.name, windowAllDraft(this.last, window as Windowing<never>, { aggregates, late, updates }))
  }

  /**
   * Says what the records are made of, and does nothing to them: needed behind `map` and the like, where records are kept
   * (joins, deduplication) or sent to another partition. What they have beside the schema is left out there.
   */
  as<S extends Schema.Codec<A, unknown>>(schema: S): Stream<A, K, E, R> {
    return this.append("as", { kind: "as", schema })
  }

  /** Several streams of one kind of record as one. What is keyed has to be keyed by the same. */
  union<E2, R2>(...others: ReadonlyArray<Stream<A, K, E2, R2>>): Stream<A, K, E | E2, R | R2> {
    const inputs = [this.last, ...others.map(other => other.last)]
    return new Stream(this.name, { spec: { kind: "union" }, id: "union", fixed: false, inputs, beside: [] })
  }

  /** Of each key one record, the first or the last by event time: see `DeduplicateOptions`. */
  deduplicate<const M extends "changes" | "once">(
    options: DeduplicateOptions<A, M>
  ): Stream<M extends "once" ? A : Change<A>, K, E, R> {
    return new Stream(this.name, deduplicateDraft(this.last, options))
  }

  /**
   * Pairs records of both streams with the same key whose times lie within an interval of each other. A pair comes when its
   * second record does, at the later time of both; in outer joins a record that stays alone when the watermark says so.
   * `combine` is called once for each, on plain objects.
   */
  intervalJoin<B extends object, E2, R2, C extends object, const T extends JoinType = "inner">(
    right: Stream<B, K, E2, R2>,
    options: IntervalOptions<A, B, T>,
    combine: (left: Left<A, T>, right: Right<B, T>) => C
  ): Stream<C, K, E | E2, R | R2> {
    return new Stream(this.name, intervalDraft(this.last, right.last, options, combine))
  }

  /**
   * Pairs records of both streams that stand in the same window with the same key, at the end of the window and for each late
   * record that still counts. `combine` is called once for each pair and firing, on plain objects.
   */
  windowJoin<B extends object, E2, R2, C extends object, const T extends JoinType = "inner">(
    right: Stream<B, K, E2, R2>,
    window: Windowing<A & B>,
    options: JoinOptions<A, B, T>,
    combine: (left: Left<A, T>, right: Right<B, T>) => C
  ): Stream<C, K, E | E2, R | R2> {
    return new Stream(this.name, windowJoinDraft(this.last, right.last, window, options, combine))
  }

  /**
   * Brings together all records of both streams that stand in the same window with the same key: one of the lists may be
   * empty. `combine` is called once for each key, window and firing, on plain objects in the order of their arrival.
   */
  coGroup<B extends object, E2, R2, C extends object>(
    right: Stream<B, K, E2, R2>,
    window: Windowing<A & B>,
    options: Omit<JoinOptions<A, B, "inner">, "type">,
    combine: (left: readonly A[], right: readonly B[], key: K) => C
  ): Stream<C, K, E | E2, R | R2> {
    return new Stream(
      this.name,
      windowJoinDraft(this.last, right.last, window, { ...options, type: "coGroup" }, combine)
    )
  }

  /**
   * Joins each record with the version of its key that was valid at its time: the latest one on the right that is not later.
   * It waits until the watermarks of both streams have reached its time. `combine` is called once for each.
   */
  temporalJoin<B extends object, E2, R2, C extends object, const T extends "inner" | "left" = "inner">(
    versions: Stream<B, K, E2, R2>,
    options: TemporalOptions<B, T>,
    combine: (record: A, version: T extends "left" ? B | undefined : B) => C
  ): Stream<C, K, E | E2, R | R2> {
    return new Stream(this.name, temporalDraft(this.last, versions.last, options, combine))
  }

  /**
   * Joins each record with the row that a table, such as a compacted topic, has for its key when it comes. `combine` is
   * called once for each. Rows go by arrival: what is to go by event time is a `temporalJoin`.
   */
  tableJoin<B extends object, E2, R2, C extends object, const T extends "inner" | "left" = "inner">(
    table: Stream<B, K, E2, R2>,
    options: TableOptions<A, B, T>,
    combine: (record: A, row: T extends "left" ? B | undefined : B) => C
  ): Stream<C, K, E | E2, R | R2> {
    return new Stream(this.name, tableDraft(this.last, table.last, "stream", options, combine))
  }

  /**
   * Joins two tables to one: each change of a row on one side changes the result, which comes as changes. `combine` is called
   * twice for each: for the row before and for the row after it.
   */
  tableTableJoin<B extends object, E2, R2, C extends object, const T extends JoinType = "inner">(
    table: Stream<B, K, E2, R2>,
    options: TableOptions<A, B, T>,
    combine: (left: Left<A, T>, right: Right<B, T>) => C
  ): Stream<Change<C>, K, E | E2, R | R2> {
    return new Stream(this.name, tableDraft(this.last, table.last, "table", options, combine))
  }

  /**
   * Runs code of your own over state and timers of each key, for what windows do not cover. Its state is found again
   * by the id.
   */
  process<const S extends States, B extends object, const O extends Sides = Readonly<Record<never, never>>>(
    id: [K] extends [never] ? NotKeyedProcess : string,
    process: Process<A, K, S, B, O>
  ): ProcessedStream<B, K, E, R, O> {
    return new ProcessedStream(this.name, processDraft(this.last, id as string, process), process.sides)
  }

  /**
   * Finds a pattern in the events of each key, in the order of event time: what it looks at waits until the watermark has reached
   * it. A pattern under another structure finds no state that this one left.
   */
  match<Names extends string, B extends object, T extends object = never>(
    id: [K] extends [never] ? NotKeyedProcess : string,
    pattern: Pattern<A, Names>,
    options: MatchOptions<A, K, Names, B, T>
  ): MatchedStream<B, K, E, R, T> {
    const one = selected(id as string, pattern, options)
    return new MatchedStream(this.name, matchDraft(this.last, id as string, [one.of], one.of.what, options))
  }

  /**
   * Finds several patterns in the same events, which are kept and put in order once; what patterns ask of an event alone, by the
   * same function, is asked once. State is found again by the step's id and the pattern's: patterns may come and go, and
   * of one that has changed the partial matches are dropped, and counted.
   */
  matchAll<B extends object, T extends object = never>(
    id: [K] extends [never] ? NotKeyedProcess : string,
    patterns: readonly Selected<A, K, B, T>[],
    options: EventOptions<A> = {}
  ): MatchedStream<B, K, E, R, T> {
    const all = patterns.map(one => one.of)
    return new MatchedStream(this.name, matchDraft(this.last, id as string, all, "patterns", options as never))
  }

  /**
   * Finds patterns that come as data while the job runs: `Patterns.topic` says on which topic. All partitions take up a change
   * at one event time. Events, and patterns, go through one log in any case, so that they have one order.
   */
  matchDynamic(
    id: [K] extends [never] ? NotKeyedProcess : string,
    patterns: Topic,
    options: EventOptions<A> = {}
  ): MatchedStream<DynamicMatch<A, K>, K, E, R, DynamicMatch<A, K>> {
    return new MatchedStream(this.name, dynamicDraft(this.last, id as string, patterns, options as never))
  }

  /**
   * A process step whose keys all see what another stream, such as one of rules, has left in a map. Each of its records goes to
   * every partition, in one order with the records there. It does not hold event time back: a stream that is quiet, or has
   * ended, never does.
   */
  broadcast<
    C extends object,
    E2,
    R2,
    const S extends States,
    B extends object,
    MK extends string | number | bigint,
    MV,
    const O extends Sides = Readonly<Record<never, never>>
  >(
    rules: Stream<C, unknown, E2, R2>,
    id: [K] extends [never] ? NotKeyedProcess : string,
    process: BroadcastProcess<A, K, S, B, O, C, MK, MV>
  ): ProcessedStream<B, K, E | E2, R | R2, O> {
    const last = broadcastDraft(this.last, rules.last, id as string, process)
    return new ProcessedStream(this.name, last, process.sides)
  }

  /** Several streams of one: each gets the records that its predicate says yes to, called once for each on a view. */
  split<const P extends Readonly<Record<string, (record: A) => boolean>>>(
    predicates: P
  ): { readonly [Name in keyof P]: Stream<A, K, E, R> } {
    const streams = Object.entries(predicates).map(([name, predicate]) => [name, this.filter(predicate)])
    return Object.fromEntries(streams)
  }

  /**
   * Writes to a topic, and from that topic to tables. Asks for handled errors, and for records that fit the schema.
   */
  to(
    first: [E] extends [never] ? KafkaSink<A> : UnhandledErrors<E>,
    ...rest: ReadonlyArray<KafkaSink<A> | ClickHouseSink>
  ): Pipeline<R> {
    const sinks = [first as KafkaSink<A>, ...rest]
    return new Pipeline(this.name, sinkDrafts(this.last, sinks), undefined)
  }

  private append<B extends object, K2>(id: string, spec: Spec): Stream<B, K2, E, R> {
    return new Stream(this.name, step(this.last, id, spec))
  }
}

/** The stream right behind a `process` step: what it emits, and beside it what it sends to its sides O. */
export class ProcessedStream<out A extends object, out K, out E, out R, O extends Sides> extends Stream<A, K, E, R> {
  private readonly sides: O | undefined

  constructor(name: string, last: Draft, sides: O | undefined) {
    super(name, last)
    this.sides = sides
  }

  /** What the step sends to one of its side outputs. */
  side<const Name extends keyof O & string>(name: Name): Stream<O[Name]["Type"], K, E, R> {
    const schema = this.sides?.[name]
    check(schema !== undefined, () => `${this.last.id} has no side output "${name}": name it among its sides`)
    return new Stream(this.name, sideDraft(this.last, name, schema))
  }
}

/** The matches of a pattern, and beside them what was over before it was one, as records T. */
export class MatchedStream<out A extends object, out K, out E, out R, out T extends object> extends Stream<A, K, E, R> {
  declare readonly "~timedOut": T

  /** Partial matches whose time is over: those that `timedOut` makes a record of. */
  get timedOut(): Stream<T, K, E, R> {
    return new Stream(this.name, sideDraft(this.last, TIMED_OUT, undefined))
  }
}

/** The side that partial matches go to. */
const TIMED_OUT = "timedOut"

/**
 * The stream right behind a `mapEffect`. Errors E1 are those of that step: they may be replaced by a record too, since
 * nothing else has happened to the result yet.
 */
export class AsyncStream<out A extends object, out K, out E, out R, out E1> extends Stream<A, K, E | E1, R> {
  declare readonly "~async": E1

  override catchTag<const Tag extends Types.Tags<E | E1>>(
    tag: Tag,
    handler: DeadLetter
  ): AsyncStream<A, K, Types.ExcludeTag<E, Tag>, R, Types.ExcludeTag<E1, Tag>>
  /** Puts a record in place of the failed result. */
  override catchTag<const Tag extends Types.Tags<E1>, Out extends Replacement>(
    tag: Tag,
    handler: (error: Types.ExtractTag<E1, Tag>) => Out
  ): AsyncStream<A | Replaced<Out>, K, E, R | ReplacedServices<Out>, Types.ExcludeTag<E1, Tag> | ReplacedError<Out>>
  override catchTag(tag: string, handler: Handler): never {
    return this.recover(hasTag(tag), handler)
  }

  override catch(handler: DeadLetter): AsyncStream<A, K, never, R, never>
  /** Puts a record in place of the failed result. */
  override catch<Out extends Replacement>(
    handler: (error: E1) => Out
  ): AsyncStream<A | Replaced<Out>, K, E, R | ReplacedServices<Out>, ReplacedError<Out>>
  override catch(handler: Handler): never {
    return this.recover(() => true, handler)
  }

  /** A dead letter stands for every step up to here, a replacement for the last one only. */
  private recover(matches: (error: unknown) => boolean, handler: Handler): never {
    const change = (spec: AsyncSpec) => recovered(spec, matches, handler)
    const last = isDeadLetter(handler) ? rewriteAsync(this.last, change) : rewriteLast(this.last, change)
    return new AsyncStream(this.name, last) as never
  }
}

/** Steps are called after their function, if it has a plain name; else after what they do. */
const named = (kind: string, fn: (record: never) => unknown): string =>
  /^[\w$]+$/.test(fn.name) ? `${kind}:${fn.name}` : kind

const rewriteLast = (last: Draft, change: (spec: AsyncSpec) => AsyncSpec): Draft => ({
  ...last,
  spec: change(last.spec as AsyncSpec)
})

const rewriteAsync = (last: Draft, change: (spec: AsyncSpec) => AsyncSpec): Draft =>
  rewrite(last, spec => (spec.kind === "mapEffect" ? change(spec) : spec))
