import { Schema } from "effect"
import type { Agg } from "./agg.ts"
import { check } from "./error.ts"
import { jsonCodec } from "./stateCodec.ts"

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

/** One of the greatest. */
interface Ranked {
  readonly by: number
  readonly at: number
  readonly value: unknown
}

/**
 * The values of the records with the greatest numbers, greatest first; of equal ones that of the earlier record, and of one
 * time the one that came first. The schema says what a value is. Both functions are called once for each record.
 *
 * Of all keys together: aggregate each key first, so that little has to cross to one partition.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Agg, Pipeline, Sink, Source, Window } from "headrace"
 * import { TestDriver } from "headrace-test"
 *
 * const Sale = Schema.Struct({ shop: Schema.String, cents: Schema.Number, at: Schema.Number })
 * const Sales = Schema.Struct({ key: Schema.String, windowStart: Schema.Number, windowEnd: Schema.Number, cents: Schema.Number })
 * const Best = Schema.Struct({ windowEnd: Schema.Number, shops: Schema.Array(Schema.String) })
 * const sales = Source.kafka("sales", Sale, { key: "shop", eventTime: s => s.at })
 * const best = Pipeline.make("best")
 *   .from(sales)
 *   .keyBy(s => s.shop)
 *   .window(Window.tumbling("1 minute"), { cents: Agg.sum(s => s.cents) })
 *   .as(Sales)
 *   .keyBy(() => "all")
 *   .window(Window.tumbling("1 minute", { id: "best" }), { shops: Agg.top(2, s => s.cents, s => s.key, Schema.String) })
 *   .to(Sink.kafka("best", Best))
 *
 * const driver = new TestDriver(best, { partitions: 2 })
 * for (const [shop, cents] of [["a", 3], ["b", 9], ["c", 5], ["a", 4]] as const) driver.push(sales, { shop, cents, at: 1 })
 * driver.watermark("end")
 * driver.values("best") // => [{ windowEnd: 60000, shops: ["b", "a"] }]
 * ```
 */
export const top = <A, B>(
  n: number,
  by: (record: A) => number,
  of: (record: A) => B,
  schema: Schema.Codec<B, unknown>
): Agg<A, readonly B[]> => {
  check(Number.isSafeInteger(n) && n > 0, () => `a window has its top ${n}: make it 1 or more`)
  const within = (all: readonly Ranked[]): readonly Ranked[] =>
    // Stable: what came first stays first.
    all.toSorted((a, b) => b.by - a.by || a.at - b.at).slice(0, n)
  return {
    aggregate: {
      kind: "custom",
      codec: jsonCodec(Schema.Array(Schema.Struct({ by: Schema.Number, at: Schema.Number, value: schema }))),
      init: () => [],
      add: (all: readonly Ranked[], record: A, at: number) => {
        const rank = by(record)
        if (Number.isNaN(rank)) throw new RangeError("What a window's top goes by is not a number")
        // Most records of a large window are none of them.
        if (all.length === n && all[n - 1]!.by > rank) return all
        return within([...all, { by: rank, at, value: of(record) }])
      },
      merge: (a: readonly Ranked[], b: readonly Ranked[]) => within([...a, ...b]),
      result: (all: readonly Ranked[]) => all.map(({ value }) => value)
    }
  }
}
