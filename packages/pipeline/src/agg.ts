import type { Aggregate } from "@headrace/core"
import { BigDecimal, Schema } from "effect"
import { check } from "./error.ts"
import { HyperLogLog } from "./hyperLogLog.ts"
import type { Migration } from "./migration.ts"
import { accept, type DDSketch, ddSketch, ddSketchCodec, mergeInto } from "./quantiles.ts"
import { jsonCodec } from "./stateCodec.ts"

/** Folds the records A of one key and window into a B. */
export interface Agg<in A, out B> {
  readonly aggregate: Aggregate
  readonly "~fold"?: ((record: A) => B) | undefined
}

/** What a window of these aggregates adds to its record. */
export type Results<Aggs> = { readonly [Name in keyof Aggs]: Aggs[Name] extends Agg<never, infer B> ? B : never }

/**
 * The number of records.
 *
 * ```ts
 * import { Agg } from "headrace"
 *
 * Agg.count().aggregate // => { kind: "count" }
 * ```
 */
export const count = (): Agg<unknown, number> => ({ aggregate: { kind: "count" } })

/** The sum of a number; in floating point, so exact for whole numbers up to 2^53. Called once for each record. */
export const sum = <A>(of: (record: A) => number): Agg<A, number> => ({ aggregate: { kind: "sum", of } })

/** The smallest number. Called once for each record. */
export const min = <A>(of: (record: A) => number): Agg<A, number> => ({ aggregate: { kind: "min", of } })

/** The largest number. Called once for each record. */
export const max = <A>(of: (record: A) => number): Agg<A, number> => ({ aggregate: { kind: "max", of } })

/** The arithmetic mean. Called once for each record. */
export const average = <A>(of: (record: A) => number): Agg<A, number> => ({ aggregate: { kind: "average", of } })

/** The standard deviation of all records, as of a population. Called once for each record. */
export const standardDeviation = <A>(of: (record: A) => number): Agg<A, number> => ({
  aggregate: { kind: "standardDeviation", of }
})

/** The standard deviation that a sample says of its population: NaN of a single record. Called once for each record. */
export const sampleDeviation = <A>(of: (record: A) => number): Agg<A, number> => ({
  aggregate: { kind: "sampleDeviation", of }
})

/** The exact sum of whole numbers of any size, such as cents. Called once for each record. */
export const sumBigint = <A>(of: (record: A) => bigint): Agg<A, bigint> =>
  custom({
    state: Schema.BigInt,
    init: () => 0n,
    add: (sum, record: A) => sum + of(record),
    merge: (a, b) => a + b,
    result: sum => sum
  })

/**
 * The exact sum of decimal numbers that are written as text, as money is: nothing is rounded, ever. The result is text too,
 * with at least `digits` digits behind the point (default: as many as it needs). Called once for each record.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Agg, Pipeline, Sink, Source, Window } from "headrace"
 * import { TestDriver } from "headrace-test"
 *
 * const Order = Schema.Struct({ shop: Schema.String, price: Schema.String, at: Schema.Number })
 * const Sales = Schema.Struct({ key: Schema.String, total: Schema.String })
 * const orders = Source.kafka("orders", Order, { key: "shop", eventTime: o => o.at })
 * const sales = Pipeline.make("sales")
 *   .from(orders)
 *   .keyBy(o => o.shop)
 *   .window(Window.tumbling("1 minute"), { total: Agg.sumDecimal(o => o.price, { digits: 2 }) })
 *   .to(Sink.kafka("sales", Sales))
 *
 * const driver = new TestDriver(sales)
 * driver.push(orders, { shop: "a", price: "0.10", at: 1 }, { shop: "a", price: "0.20", at: 2 })
 * driver.watermark("end")
 * driver.values("sales") // => [{ key: "a", total: "0.30" }]
 * ```
 */
export const sumDecimal = <A>(
  of: (record: A) => string,
  { digits = 0 }: { readonly digits?: number } = {}
): Agg<A, string> =>
  custom({
    state: Schema.BigDecimal,
    init: () => BigDecimal.make(0n, 0),
    add: (sum, record: A) => BigDecimal.sum(sum, decimal(of(record))),
    merge: (a, b) => BigDecimal.sum(a, b),
    result: sum => written(sum, digits)
  })

const decimal = (text: string): BigDecimal.BigDecimal => {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(text)) throw new RangeError(`"${text}" is not a decimal number`)
  return BigDecimal.fromStringUnsafe(text)
}

/** All digits that there are, and zeros behind them up to `digits`. No exponent. */
const written = (sum: BigDecimal.BigDecimal, digits: number): string => {
  const { value, scale } = BigDecimal.scale(sum, Math.max(digits, BigDecimal.normalize(sum).scale, 0))
  const all = String(value < 0n ? -value : value).padStart(scale + 1, "0")
  const point = all.length - scale
  return `${value < 0n ? "-" : ""}${all.slice(0, point)}${scale === 0 ? "" : `.${all.slice(point)}`}`
}

/**
 * The value of the first record by event time; of several at one time, of the one that came first. The schema says what
 * it is. Called once for each record.
 */
export const first = <A, B>(of: (record: A) => B, schema: Schema.Codec<B, unknown>): Agg<A, B> =>
  edge(of, schema, (time, than) => time < than)

/** The value of the last record by event time; of several at one time, of the one that came last. See `first`. */
export const last = <A, B>(of: (record: A) => B, schema: Schema.Codec<B, unknown>): Agg<A, B> =>
  edge(of, schema, (time, than) => time >= than)

interface Edge {
  readonly at: number
  readonly value: unknown
}

const edge = <A, B>(
  of: (record: A) => B,
  schema: Schema.Codec<B, unknown>,
  counts: (time: number, than: number) => boolean
): Agg<A, B> => ({
  aggregate: {
    kind: "custom",
    codec: jsonCodec(Schema.NullOr(Schema.Struct({ at: Schema.Number, value: schema }))),
    init: () => null,
    add: (edge: Edge | null, record: A, at: number): Edge =>
      edge === null || counts(at, edge.at) ? { at, value: of(record) } : edge,
    merge: (a: Edge | null, b: Edge | null) => (a === null || (b !== null && counts(b.at, a.at)) ? b : a),
    result: (edge: Edge | null) => edge?.value
  }
})

/**
 * About how many different values there are: exact up to 256, beyond that within 1.6 % (standard error), in 4 KB at most.
 * Undefined is none. Called once for each record.
 */
export const approximateDistinctCount = <A>(
  of: (record: A) => string | number | bigint | undefined
): Agg<A, number> => ({
  aggregate: {
    kind: "custom",
    codec: HyperLogLog.codec,
    init: () => new HyperLogLog(),
    add: (sketch: HyperLogLog, record: A) => {
      const value = of(record)
      if (value !== undefined) sketch.add(value)
      return sketch
    },
    merge: (a: HyperLogLog, b: HyperLogLog) => {
      a.merge(b)
      return a
    },
    result: (sketch: HyperLogLog) => sketch.estimate()
  }
})

/**
 * About the values below which the given shares of all numbers lie, by the names they are given, each within `accuracy` of
 * the value itself (default: 0.01, which is 1 %), by Datadog's DDSketch. Some KB at most: the smallest of numbers that lie
 * further apart than 2,048 steps of that accuracy are thrown together. Called once for each record.
 *
 * ```ts
 * import { Agg } from "headrace"
 *
 * const latency = Agg.quantiles((r: { ms: number }) => r.ms, { p50: 0.5, p99: 0.99 })
 * latency.aggregate.kind // => "custom"
 * ```
 */
export const quantiles = <A, const Q extends Readonly<Record<string, number>>>(
  of: (record: A) => number,
  shares: Q,
  { accuracy = 0.01 }: { readonly accuracy?: number } = {}
): Agg<A, { readonly [Name in keyof Q]: number }> => {
  check(accuracy > 0 && accuracy < 1, () => `quantiles have an accuracy of ${accuracy}: take one between 0 and 1`)
  for (const [name, share] of Object.entries(shares))
    check(share >= 0 && share <= 1, () => `the quantile "${name}" is at ${share}: take a share from 0 to 1`)
  return {
    aggregate: {
      kind: "custom",
      codec: ddSketchCodec(accuracy),
      init: () => ddSketch(accuracy),
      add: (sketch: DDSketch, record: A) => {
        accept(sketch, of(record))
        return sketch
      },
      merge: (a: DDSketch, b: DDSketch) => {
        mergeInto(a, b)
        return a
      },
      result: (sketch: DDSketch) =>
        Object.fromEntries(Object.entries(shares).map(([name, share]) => [name, sketch.getValueAtQuantile(share)]))
    }
  }
}

/**
 * All values, in the order in which they came. The window keeps one entry for each record: its state grows with them.
 * The schema says what the values are. Called once for each record.
 */
export const collect = <A, B>(of: (record: A) => B, schema: Schema.Codec<B, unknown>): Agg<A, readonly B[]> => ({
  aggregate: { kind: "collect", of, codec: jsonCodec(schema) }
})

/**
 * How many different values there are, counted exactly: its state grows with them. Undefined is none, so that some records
 * can be left out. Called once for each record.
 */
export const distinctCount = <A>(of: (record: A) => string | number | undefined): Agg<A, number> => ({
  aggregate: { kind: "distinctCount", of }
})

export interface Custom<S extends Schema.Codec<unknown, unknown>, A, B> {
  /** What is kept for each key and window. It is stored as JSON, which is derived from the schema. */
  readonly state: S
  /** The state of a window without records. Called once for each key and window. */
  readonly init: () => S["Type"]
  /** The state with one record more: called once for each record. It may change and return the one it gets. */
  readonly add: (state: S["Type"], record: A) => S["Type"]
  /**
   * The state of two parts of a window, the one with the earlier records first. Sessions need it; sliding and cumulative
   * windows are faster with it. May change its first argument; the second one is to be left alone, also later.
   */
  readonly merge?: (a: S["Type"], b: S["Type"]) => S["Type"]
  /** Called once for each firing; must leave the state alone. */
  readonly result: (state: S["Type"]) => B
  /** What becomes of state of earlier schemas when a job starts from a savepoint: see `State.migration`. */
  readonly migrations?: readonly Migration<S["Type"]>[]
}

/**
 * An aggregate of your own.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Agg } from "headrace"
 *
 * const spread = Agg.custom({
 *   state: Schema.Struct({ low: Schema.Number, high: Schema.Number }),
 *   init: () => ({ low: Infinity, high: -Infinity }),
 *   add: (s, p: { cents: number }) => ({ low: Math.min(s.low, p.cents), high: Math.max(s.high, p.cents) }),
 *   result: s => s.high - s.low
 * })
 * spread.aggregate.kind // => "custom"
 * ```
 */
export const custom = <S extends Schema.Codec<unknown, unknown>, A, B>(options: Custom<S, A, B>): Agg<A, B> => ({
  aggregate: {
    kind: "custom",
    codec: jsonCodec(options.state, options.migrations),
    init: options.init,
    add: options.add,
    merge: options.merge,
    result: options.result
  }
})
