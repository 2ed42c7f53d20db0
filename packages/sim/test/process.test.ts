/** A process step in the real lane. */
import { expect, test } from "bun:test"
import { LogError } from "@headrace/engine"
import { Pipeline, type Plan, Sink, Source, toPlan } from "headrace"
import { EventSchema, SOURCE } from "../src/pipelines.ts"
import { Bench } from "./bench.ts"

const event = (id: number, at: number) => ({ id, account: `a${id}`, cents: 1, at })

/** A timer for each event at its own time. */
const planOf = (onTimer: (key: string) => void): Plan =>
  toPlan(
    Pipeline.make("sim")
      .from(Source.kafka(SOURCE, EventSchema, { eventTime: one => one.at, key: "account" }))
      .keyBy(one => one.account)
      .process("alarms", {
        emits: EventSchema,
        state: {},
        onRecord: (one, { timers }) => timers.register(one.at),
        onTimer: (_, { key }) => onTimer(key)
      })
      .to(Sink.kafka("alarms", EventSchema))
  )

test("many timers that are due at once do not hold up what follows them", () => {
  const fired: string[] = []
  const bench = new Bench(planOf(key => fired.push(key))).run()
  bench.feed(Array.from({ length: 20 }, (_, id) => event(id, 1_000)))
  expect(fired).toEqual([])
  bench.feed([event(20, 2_000)])
  expect(fired.length).toBe(8)
  bench.feed([event(15, 3_000)])
  expect(fired.slice(8, 9)).toEqual(["a15"]) // its own timer came before the record, the others wait their turn
  expect(fired.length).toBe(17)
  bench.feed([])
  expect(fired.length).toBe(21)
  expect(new Set(fired).size).toBe(21)
})

/** The same in processing time, by a second. */
const clockPlan = (onProcessingTimer: (time: number) => void): Plan =>
  toPlan(
    Pipeline.make("sim")
      .from(Source.kafka(SOURCE, EventSchema, { eventTime: one => one.at, key: "account" }))
      .keyBy(one => one.account)
      .process("alarms", {
        emits: EventSchema,
        state: {},
        onRecord: (_, { processingTime, processingTimers }) => processingTimers.register(processingTime + 1_000),
        onProcessingTimer
      })
      .to(Sink.kafka("alarms", EventSchema))
  )

test("timers in processing time fire in a partition without records, in a transaction that is fenced like every other", () => {
  const fired: number[] = []
  const bench = new Bench(clockPlan(time => fired.push(time))).run()
  const transaction = ["produce", "flush", "sendOffsets", "commit"] as const
  bench.feed([event(1, 1_000)])
  bench.now += 30
  bench.feed([])
  bench.settle(transaction)
  expect(bench.metrics.get("commits")).toBe(1)
  bench.wallClock += 999
  bench.feed([])
  expect(fired).toEqual([])
  bench.wallClock += 1
  bench.feed([])
  expect(fired).toEqual([1_001_000])
  // The wall clock is set back: what has fired stays fired.
  bench.wallClock -= 5_000
  bench.feed([])
  bench.now += 30
  bench.feed([])
  bench.settle(["produce", "flush"])
  // The offset has not moved, and is sent all the same: without it nobody would be refused.
  const [sent] = bench.under.filter(command => command.type === "sendOffsets")
  expect(sent).toMatchObject({ offsets: [{ topic: SOURCE, partition: 0, offset: 1 }] })
  bench.settle(transaction)
  expect(bench.metrics.get("commits")).toBe(2)
  expect(fired.length).toBe(1)
})

test("one that fails stops the lane and is named", () => {
  const bench = new Bench(
    planOf(() => {
      throw new Error("too bad")
    })
  ).run()
  bench.feed([event(1, 1_000)])
  let failure: unknown
  try {
    bench.feed([event(2, 2_000)])
  } catch (error) {
    failure = error
  }
  expect(failure).toBeInstanceOf(LogError)
  expect(failure).toMatchObject({ failure: "Stop" })
  expect(String(failure)).toMatch(/failed at what was due in events\/0 .*"alarms" at its timer 1000 of the key a1/)
})
