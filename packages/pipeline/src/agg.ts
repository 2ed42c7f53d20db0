import type { Aggregate } from "@headrace/core"
import type { Schema } from "effect"
import type { Migration } from "./migration.ts"
import { jsonCodec } from "./stateCodec.ts"

export * from "./approximate.ts"
export * from "./money.ts"
export * from "./ordered.ts"

/** Folds the records A of one key and window into a B. */
export interface Agg<in A, out B> {
  /** As the plan carries it. */
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

/**
 * An aggregate of your own: what is kept of the records of a key and window, and what becomes of it. Its functions depend on
 * their arguments alone.
 */
export interface Custom<S extends Schema.Codec<unknown, unknown>, A, B> {
  /** What is kept for each key and window. It is stored as JSON, which is derived from the schema. */
  readonly state: S
  /** The state of a window without records. Called once for each key and window. */
  readonly init: () => S["Type"]
  /** The state with one record more: called once for each record. It may change and return the one it gets. */
  readonly add: (state: S["Type"], record: A) => S["Type"]
  /**
   * The state of two parts of a window, the one with the earlier records first; either may be one without records, as `init` makes
   * it. Sessions need it; sliding and cumulative windows are faster with it. May change its first argument; the second one is to be left alone, also later.
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
