import { BigDecimal, Schema } from "effect"
import { type Agg, custom } from "./agg.ts"

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
