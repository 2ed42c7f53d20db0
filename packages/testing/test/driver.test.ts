import { expect, test } from "bun:test"
import { Effect, Schema } from "effect"
import { Agg, DeadLetter, Pipeline, Sink, Source, State, Window } from "headrace"
import { TestDriver } from "../src/index.ts"

const Payment = Schema.Struct({
  account: Schema.String,
  merchant: Schema.String,
  cents: Schema.Number,
  at: Schema.Number
})
type Payment = (typeof Payment)["Type"]
const Count = Schema.Struct({ key: Schema.String, windowEnd: Schema.Number, n: Schema.Number })
const source = Source.kafka("payments", Payment, { key: "account", eventTime: p => p.at, outOfOrderness: "1 second" })
const payments = () => Pipeline.make("test").from(source)
const payment = (account: string, at: number, cents = 1, merchant = "m"): Payment => ({ account, merchant, cents, at })
const counts = Sink.kafka("counts", Count)
const tumbling = () =>
  payments()
    .keyBy(p => p.account)
    .window(Window.tumbling("10 seconds"), { n: Agg.count() }, { late: Sink.kafka("late", Payment) })
    .to(counts)

test("event time follows from the records, or is set", () => {
  const driver = new TestDriver(tumbling())
  driver.push(source, payment("a", 1_000), payment("a", 2_000), payment("b", 10_999))
  expect(driver.values(counts)).toEqual([])
  driver.push(source, payment("b", 11_000))
  expect(driver.read(counts)).toEqual([
    { topic: "counts", key: "a", value: { key: "a", windowEnd: 10_000, n: 2 }, timestamp: 9_999 }
  ])
  driver.push(source, payment("a", 9_000))
  expect(driver.values("late")).toEqual([payment("a", 9_000)])
  driver.watermark("end")
  expect(driver.values(counts)).toEqual([{ key: "b", windowEnd: 20_000, n: 2 }])
})

test("a record may carry the watermark", () => {
  const marked = Source.kafka("payments", Payment, {
    key: "account",
    eventTime: p => p.at,
    watermark: p => (p.merchant === "clock" ? p.at : undefined)
  })
  const pipeline = Pipeline.make("test")
    .from(marked)
    .filter(p => p.merchant !== "clock")
    .keyBy(p => p.account)
    .window(Window.tumbling("10 seconds"), { n: Agg.count() })
    .to(counts)
  const driver = new TestDriver(pipeline)
  driver.push(marked, payment("a", 1_000), payment("a", 50_000), payment("a", 2_000))
  expect(driver.values(counts)).toEqual([])
  driver.push(marked, payment("a", 9_999, 0, "clock"))
  expect(driver.values(counts)).toEqual([{ key: "a", windowEnd: 10_000, n: 2 }])
})

test("state survives a restore, and so does event time", () => {
  const driver = new TestDriver(tumbling())
  driver.push(source, payment("a", 1_000))
  driver.restore()
  driver.push(source, payment("a", 2_000))
  driver.restore()
  driver.watermark("end")
  expect(driver.values(counts)).toEqual([{ key: "a", windowEnd: 10_000, n: 2 }])
})

test("records cross to the partition of another key, and the least of the watermarks counts there", () => {
  const byMerchant = payments()
    .keyBy(p => p.merchant)
    .window(Window.tumbling("10 seconds"), { n: Agg.count() })
    .to(counts)
  const driver = new TestDriver(byMerchant, { partitions: 3 })
  expect(driver.plan.nodes.some(({ kind }) => kind === "exchange")).toBe(true)
  for (const partition of [0, 1, 2]) driver.pushTo(source, payment("a", 1_000 + partition), { partition })
  for (const partition of [0, 1]) driver.pushTo(source, payment("a", 20_000), { partition })
  expect(driver.values(counts)).toEqual([])
  driver.pushTo(source, payment("a", 20_000), { partition: 2 })
  expect(driver.values(counts)).toEqual([{ key: "m", windowEnd: 10_000, n: 3 }])
})

test("side outputs, splits and unions", () => {
  const Large = Schema.Struct({ account: Schema.String, cents: Schema.Number })
  const { small, large } = payments().split({ small: p => p.cents < 100, large: p => p.cents >= 100 })
  const watched = large
    .union(small.filter(p => p.cents === 1))
    .keyBy(p => p.account)
    .process("watch", {
      emits: Count,
      sides: { alerts: Large },
      state: { n: State.value(Schema.Number) },
      onRecord: (p, { key, state, emit, emitTo }) => {
        const n = (state.n.get() ?? 0) + 1
        state.n.set(n)
        if (p.cents > 1_000) emitTo("alerts", { account: key, cents: p.cents })
        else emit({ key, windowEnd: 0, n })
      }
    })
  const driver = new TestDriver(
    Pipeline.all(watched.to(counts), watched.side("alerts").to(Sink.kafka("alerts", Large)))
  )
  driver.push(source, payment("a", 1, 1), payment("a", 2, 50), payment("a", 3, 100), payment("a", 4, 5_000))
  expect(driver.values(counts).map(({ n }) => n)).toEqual([1, 2])
  expect(driver.values("alerts")).toEqual([{ account: "a", cents: 5_000 }])
})

test("a union of two topics has the event time of both", () => {
  const refunds = Source.kafka("refunds", Payment, { key: "account", eventTime: p => p.at })
  const both = payments()
    .union(Pipeline.make("test").from(refunds))
    .keyBy(p => p.account)
    .window(Window.tumbling("10 seconds"), { n: Agg.count() })
    .to(counts)
  const driver = new TestDriver(both)
  driver.push(source, payment("a", 1_000), payment("a", 20_000))
  driver.push(refunds, payment("a", 2_000))
  expect(driver.values(counts)).toEqual([])
  driver.push(refunds, payment("a", 20_000))
  expect(driver.values(counts)).toEqual([{ key: "a", windowEnd: 10_000, n: 2 }])
})

test("timers in processing time fire when the clock goes on", () => {
  const pipeline = payments()
    .keyBy(p => p.account)
    .process("ring", {
      emits: Count,
      state: {},
      onRecord: (_, { processingTime, processingTimers }) => processingTimers.register(processingTime + 1_000),
      onProcessingTimer: (time, { key, emit }) => emit({ key, windowEnd: time, n: 0 })
    })
    .to(counts)
  const driver = new TestDriver(pipeline, { now: 5_000 })
  driver.push(source, payment("a", 1))
  driver.advance("999 millis")
  expect(driver.values(counts)).toEqual([])
  driver.advance(1)
  expect(driver.values(counts)).toEqual([{ key: "a", windowEnd: 6_000, n: 0 }])
})

test("asynchronous steps are waited for; what they give up goes to its topic", async () => {
  class Unknown extends Schema.TaggedError<Unknown>()("Unknown", {}) {}
  const pipeline = payments()
    .mapEffect(p => (p.cents < 0 ? Effect.fail(new Unknown()) : Effect.delay(Effect.succeed(p), "5 millis")))
    .catchTag("Unknown", DeadLetter.to("dlq"))
    .to(Sink.kafka("out", Payment))
  const driver = new TestDriver(pipeline)
  driver.push(source, payment("a", 1, 7), payment("a", 2, -7))
  await driver.settled()
  expect(driver.values("out")).toEqual([payment("a", 1, 7)])
  expect(driver.values("dlq")).toEqual([payment("a", 2, -7)])
  await driver.close()
})

test("what is not there is named", () => {
  const driver = new TestDriver(tumbling())
  expect(() => driver.push("payment", payment("a", 1))).toThrow(
    'The pipeline has no source "payment": it reads payments'
  )
  expect(() => driver.pushTo(source, payment("a", 1), { partition: 1 })).toThrow("There is no partition 1: there are 1")
})
