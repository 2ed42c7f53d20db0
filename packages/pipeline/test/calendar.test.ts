import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Agg, Pipeline, PipelineError, Sink, Source, Window } from "headrace"
import { TestDriver } from "headrace-test"

const Order = Schema.Struct({ shop: Schema.String, cents: Schema.Number, at: Schema.Number })
const Day = Schema.Struct({
  key: Schema.String,
  windowStart: Schema.Number,
  windowEnd: Schema.Number,
  cents: Schema.Number
})
const orders = Source.kafka("orders", Order, { key: "shop", eventTime: order => order.at })
const HOUR = 3_600_000

test("days of a shop in Berlin, over the end of summer time, late orders included, and restored after each", () => {
  const days = Pipeline.make("days")
    .from(orders)
    .keyBy(order => order.shop)
    .window(Window.calendar("day", { timeZone: "Europe/Berlin", allowedLateness: "1 hour" }), {
      cents: Agg.sum(o => o.cents)
    })
    .to(Sink.kafka("days", Day))
  const driver = new TestDriver(days, { watermarks: "manual" })
  const midnight = Date.parse("2026-10-25T00:00+02:00")
  for (let hour = -1; hour < 27; hour++) {
    driver.push(orders, { shop: "a", cents: 1, at: midnight + hour * HOUR })
    driver.restore()
  }
  driver.watermark(midnight + 25 * HOUR)
  driver.push(orders, { shop: "a", cents: 100, at: midnight + 25 * HOUR - 1 })
  driver.watermark("end")
  expect(driver.values("days")).toEqual([
    { key: "a", windowStart: midnight - 24 * HOUR, windowEnd: midnight, cents: 1 },
    { key: "a", windowStart: midnight, windowEnd: midnight + 25 * HOUR, cents: 25 },
    { key: "a", windowStart: midnight, windowEnd: midnight + 25 * HOUR, cents: 125 },
    { key: "a", windowStart: midnight + 25 * HOUR, windowEnd: midnight + 49 * HOUR, cents: 2 }
  ])
})

test("a zone that nobody knows is refused", () => {
  expect(() => Window.calendar("day", { timeZone: "Europe/Bonn" })).toThrow(PipelineError)
})
