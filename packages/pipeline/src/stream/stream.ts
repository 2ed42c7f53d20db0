import type { Effect, Types } from "effect"
import { type Spec as AsyncSpec, type Handler, hasTag, recovered } from "../attempt.ts"
import { Pipeline } from "../branches.ts"
import { type DeadLetter, isDeadLetter } from "../deadLetter.ts"
import type { Draft } from "../draft.ts"
import { check } from "../error.ts"
import { type Sides, sideDraft } from "../process.ts"
import type { ClickHouseSink, KafkaSink } from "../sink.ts"
import { sinkDrafts } from "../sinkDraft.ts"
import { rewriteAsync } from "./effects.ts"
import { PatternSteps } from "./patterns.ts"

/** What a stream without a handled error channel asks for in place of a sink: unreadable types are no help. */
export interface UnhandledErrors<E> {
  readonly "unhandled errors: handle them with catchTag or catch, or declare them fatal with orDie": E
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
export class Stream<out A extends object, out K = never, out E = never, out R = never> extends PatternSteps<
  A,
  K,
  E,
  R
> {
  /** Several streams of one kind of record as one. What is keyed has to be keyed by the same. */
  union<E2, R2>(...others: ReadonlyArray<Stream<A, K, E2, R2>>): Stream<A, K, E | E2, R | R2> {
    const inputs = [this.last, ...others.map(other => other.last)]
    return new Stream(this.name, { spec: { kind: "union" }, id: "union", fixed: false, inputs, beside: [] })
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

  protected override behind<B extends object, K2, E2, R2>(last: Draft): Stream<B, K2, E2, R2> {
    return new Stream(this.name, last)
  }

  protected override behindEffect<B extends object, K2, E2, R2, E1>(last: Draft): AsyncStream<B, K2, E2, R2, E1> {
    return new AsyncStream(this.name, last)
  }

  protected override behindProcess<B extends object, K2, E2, R2, O extends Sides>(
    last: Draft,
    sides: O | undefined
  ): ProcessedStream<B, K2, E2, R2, O> {
    return new ProcessedStream(this.name, last, sides)
  }

  protected override behindPattern<B extends object, K2, E2, R2, T extends object>(
    last: Draft
  ): MatchedStream<B, K2, E2, R2, T> {
    return new MatchedStream(this.name, last)
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

const rewriteLast = (last: Draft, change: (spec: AsyncSpec) => AsyncSpec): Draft => ({
  ...last,
  spec: change(last.spec as AsyncSpec)
})
