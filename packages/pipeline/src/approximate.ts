import type { Agg } from "./agg.ts"
import { check } from "./error.ts"
import { HyperLogLog } from "./hyperLogLog.ts"
import { accept, type DDSketch, ddSketch, ddSketchCodec, mergeInto } from "./quantiles.ts"

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
