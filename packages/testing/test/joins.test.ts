/** Joins of two topics through the builder: what Flink's cases do not have. */
import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Evictor, Pipeline, Sink, Source, type Trigger, Window } from "headrace"
import { TestDriver } from "../src/index.ts"

const Order = Schema.Struct({ id: Schema.String, item: Schema.String, at: Schema.Number })
const Item = Schema.Struct({
  item: Schema.String,
  price: Schema.Number,
  at: Schema.Number,
  gone: Schema.optional(Schema.Boolean)
})
const Priced = Schema.Struct({ id: Schema.NullOr(Schema.String), price: Schema.NullOr(Schema.Number) })
const Changed = Schema.Struct({ op: Schema.String, record: Priced })

const orders = () =>
  Pipeline.make("joins")
    .from(Source.kafka("orders", Order, { key: "id", eventTime: o => o.at }))
    .keyBy(o => o.item)
const items = () =>
  Pipeline.make("joins")
    .from(Source.kafka("items", Item, { key: "item", eventTime: i => i.at }))
    .keyBy(i => i.item)

const order = (id: string, at: number, item = "pen") => ({ id, item, at })
const item = (price: number, at: number, gone = false) => ({ item: "pen", price, at, gone })
const isDeleted = { right: (row: (typeof Item)["Type"]) => row.gone === true }

test("a stream finds what a table holds when it comes, whatever the times are", () => {
  const joined = orders().tableJoin(items(), { id: "priced", type: "left", isDeleted }, (o, i) => ({
    id: o.id,
    price: i?.price ?? null
  }))
  const driver = new TestDriver(joined.to(Sink.kafka("out", Priced)), { partitions: 2 })
  driver.push("orders", order("1", 10))
  driver.push("items", item(3, 20))
  driver.push("orders", order("2", 5))
  driver.restore()
  driver.push("orders", order("3", 30), order("4", 30, "ink"))
  driver.push("items", item(3, 40, true))
  driver.push("orders", order("5", 50))
  expect(driver.values("out")).toEqual([
    { id: "1", price: null },
    { id: "2", price: 3 },
    { id: "3", price: 3 },
    { id: "4", price: null },
    { id: "5", price: null }
  ])
})

test("two tables make a third, which changes with each of them", () => {
  const joined = orders().tableTableJoin(items(), { id: "priced", type: "full", isDeleted }, (o, i) => ({
    id: o?.id ?? null,
    price: i?.price ?? null
  }))
  const driver = new TestDriver(joined.to(Sink.kafka("out", Changed)))
  driver.push("orders", order("1", 1))
  driver.push("items", item(3, 1))
  driver.restore()
  driver.push("items", item(4, 1), item(4, 1, true))
  expect(driver.values<(typeof Changed)["Type"]>("out").map(({ op, record }) => [op, record.id, record.price])).toEqual(
    [
      ["+I", "1", null],
      ["-U", "1", null],
      ["+U", "1", 3],
      ["-U", "1", 3],
      ["+U", "1", 4],
      ["-U", "1", 4],
      ["+U", "1", null]
    ]
  )
})

test("events without a partner come when none can come any more; one side that is quiet holds nothing but them", () => {
  const joined = orders().intervalJoin(items(), { id: "pairs", from: "-10 millis", to: 10, type: "full" }, (o, i) => ({
    id: o?.id ?? null,
    price: i?.price ?? null
  }))
  const driver = new TestDriver(joined.to(Sink.kafka("out", Priced)), { watermarks: "manual" })
  driver.push("orders", order("1", 100), order("2", 200))
  driver.push("items", item(3, 110), item(9, 300))
  expect(driver.values("out")).toEqual([{ id: "1", price: 3 }])
  driver.watermark(211, "orders")
  expect(driver.values("out")).toEqual([])
  driver.watermark(211, "items")
  expect(driver.read("out").map(({ value, timestamp }) => [value, timestamp])).toEqual([
    [{ id: "2", price: null }, 210]
  ])
  driver.watermark("end")
  expect(driver.values("out")).toEqual([{ id: null, price: 9 }])
})

test("windows of a join fire, and keep, as their trigger and their evictor say, who see the records of both sides", () => {
  class AtPrice implements Trigger.Trigger<object> {
    readonly name = "at a price"
    onElement(window: Trigger.TriggerWindow, _: number, record: object) {
      window.timer = window.maxTimestamp
      return "price" in record ? "fire" : "continue"
    }
    onTime() {
      return "continue" as const
    }
    onMerge() {}
  }
  const latestPrice = Evictor.ofRecords("the latest price", (all: readonly Evictor.Element<object>[]) =>
    all.filter((one, i) => !("price" in one.record) || all.slice(i + 1).every(({ record }) => !("price" in record)))
  )
  const window = Window.tumbling("1 second", { trigger: new AtPrice(), evictor: latestPrice })
  const joined = orders().windowJoin(items(), window, { id: "pairs" }, (o, i) => ({ id: o.id, price: i.price }))
  const driver = new TestDriver(joined.to(Sink.kafka("out", Priced)), { partitions: 2 })
  driver.push("orders", order("1", 10))
  driver.push("items", item(3, 20))
  driver.restore()
  driver.push("orders", order("2", 15))
  driver.push("items", item(4, 20))
  driver.watermark("end")
  expect(driver.values("out")).toEqual([
    { id: "1", price: 3 },
    { id: "1", price: 4 },
    { id: "2", price: 4 }
  ])
})

test("a tombstone of a compacted topic ends the version that was valid, and takes the row away", () => {
  const rows = () =>
    Pipeline.make("joins")
      .from(
        Source.kafka("items", Item, {
          key: "item",
          eventTime: i => i.at,
          tombstone: (pen, at) => (pen === "pen" ? { item: pen, price: 0, at, gone: true } : undefined)
        })
      )
      .keyBy(i => i.item)
  const priced = (o: { id: string }, i: { price: number } | undefined) => ({ id: o.id, price: i?.price ?? null })
  const asOf = orders().temporalJoin(rows(), { id: "as-of", type: "left", isDeleted: isDeleted.right }, priced)
  const now = orders().tableJoin(rows(), { id: "now", type: "left", isDeleted }, priced)
  for (const [joined, expected] of [
    [asOf, [3, 3, null, 5]],
    [now, [3, null, null, 5]]
  ] as const) {
    const driver = new TestDriver(joined.to(Sink.kafka("out", Priced)), {
      partitions: 2,
      watermarks: "manual",
      now: 50
    })
    driver.push("items", item(3, 10))
    driver.push("orders", order("1", 20))
    driver.tombstone("items", "pen")
    driver.tombstone("items", "ink")
    driver.restore()
    driver.push("orders", order("2", 49), order("3", 50))
    driver.push("items", item(5, 60))
    driver.push("orders", order("4", 61))
    driver.watermark("end")
    const found = driver.values<(typeof Priced)["Type"]>("out").toSorted((a, b) => (a.id! < b.id! ? -1 : 1))
    expect(found.map(({ price }) => price)).toEqual([...expected])
    expect(() => driver.tombstone("orders", "1")).toThrow("takes no tombstones")
  }
})
