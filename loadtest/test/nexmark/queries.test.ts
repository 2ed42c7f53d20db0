/** Each Nexmark query against the same worked out from all events at once, with a restore in the middle. */
import { describe, expect, test } from "bun:test"
import type { Pipeline } from "headrace"
import { type Output, TestDriver } from "headrace-test"
import { type NexmarkEvent, NexmarkGenerator } from "../../nexmark/generator/generator.ts"
import { nexmarkDefaults } from "../../nexmark/generator/options.ts"
import { QUERIES } from "../../nexmark/queries.ts"
import { NAIVE, worldOf } from "./naive.ts"

const EVENTS = 4_000
const PARTITIONS = [1, 3]

/**
 * 200 seconds, in which everything happens to few: persons come back, auctions have bids before and after their time, and
 * several auctions have as many.
 */
const options = {
  ...nexmarkDefaults,
  eventsPerSecond: 20,
  outOfOrderGroup: 20,
  activePeople: 20,
  hotAuctions: 1,
  inFlightAuctions: 20,
  // Two days.
  startAt: nexmarkDefaults.startAt - 100_000
}
/** Seven prices, so that many bids are as high as others. */
const priced = (event: NexmarkEvent): NexmarkEvent =>
  event.kind === "bid"
    ? { kind: "bid", record: { ...event.record, price: 10 ** Math.round(Math.log10(event.record.price)) } }
    : event
const events = [...new NexmarkGenerator(options).take(EVENTS)].map(priced)
const side = Array.from({ length: 150 }, (_, i) => ({ key: 1000 + i, value: `value ${i}` }))
const world = worldOf(events, side)

const TOPICS = { person: "nexmark.persons", auction: "nexmark.auctions", bid: "nexmark.bids" } as const

const reads = (driver: TestDriver, topic: string): boolean =>
  driver.plan.nodes.some(node => node.kind === "source" && node.topic === topic)

const push = (driver: TestDriver, some: readonly NexmarkEvent[]): void => {
  for (const { kind, record } of some) if (reads(driver, TOPICS[kind])) driver.push(TOPICS[kind], record)
}

const run = (query: Pipeline.Pipeline<never>, partitions: number): readonly Output[] => {
  const driver = new TestDriver(query, { partitions })
  if (reads(driver, "nexmark.side")) driver.push("nexmark.side", ...side)
  push(driver, events.slice(0, EVENTS / 2))
  driver.restore()
  push(driver, events.slice(EVENTS / 2))
  driver.watermark("end")
  return driver.read()
}

/** Of each key the last record: what a query that tells changes has come to. */
const latest = (outputs: readonly Output[], key: (output: Output) => unknown): readonly object[] => [
  ...new Map(outputs.map(output => [key(output), output.value])).values()
]

type Row = Readonly<Record<string, unknown>>
const by =
  (...fields: readonly string[]) =>
  (outputs: readonly Output[]) =>
    latest(outputs, ({ value }) => fields.map(field => (value as Row)[field]).join("/"))

/** What is compared of queries that give out more than their result. */
const COMPARED: Readonly<Record<string, (outputs: readonly Output[]) => readonly object[]>> = {
  q4: by("category"),
  q15: by("day"),
  q16: by("channel", "day"),
  q17: by("auction", "day"),
  q18: outputs => latest(outputs, ({ key }) => key),
  q19: outputs => latest(outputs, ({ key }) => key)
}

/** In an order of their own, with fields in one order. */
const sorted = (rows: readonly object[]): readonly string[] =>
  rows.map(row => JSON.stringify(Object.fromEntries(Object.entries(row).toSorted()))).toSorted()

describe.each(PARTITIONS)("over %p partitions", partitions => {
  test.each(Object.keys(NAIVE))("%s", name => {
    const outputs = run(QUERIES[name]!, partitions)
    const rows = COMPARED[name]?.(outputs) ?? outputs.map(({ value }) => value)
    const expected = sorted(NAIVE[name]!(world))
    expect(expected.length).toBeGreaterThan(1)
    expect(sorted(rows)).toEqual(expected)
  })
})

test("q6 gives out a seller's averages in the order in which auctions close", () => {
  const averages = (rows: readonly object[]) => Map.groupBy(rows as readonly Row[], ({ seller }) => seller)
  const outputs = run(QUERIES.q6!, 3).map(({ value }) => value)
  expect(averages(outputs)).toEqual(averages(NAIVE.q6!(world)))
})

test.each(PARTITIONS)("q12 over %p partitions: the wall clock ends its windows", partitions => {
  const driver = new TestDriver(QUERIES.q12!, { partitions, now: 3_000 })
  const half = EVENTS / 2
  push(driver, events.slice(0, half))
  driver.restore()
  driver.advance("6999 millis")
  expect(driver.values()).toEqual([])
  driver.advance(1)
  const first = driver.values()
  push(driver, events.slice(half))
  driver.restore()
  driver.advance("10 seconds")
  const counted = (some: readonly NexmarkEvent[], startTime: number) =>
    [...Map.groupBy(worldOf(some, []).bids, ({ bidder }) => bidder)].map(([bidder, { length }]) => ({
      bidder,
      bids: length,
      startTime,
      endTime: startTime + 10_000
    }))
  expect(sorted(first)).toEqual(sorted(counted(events.slice(0, half), 0)))
  expect(sorted(driver.values())).toEqual(sorted(counted(events.slice(half), 10_000)))
})

test("every query is held against something", () => {
  expect(Object.keys(QUERIES).filter(name => NAIVE[name] === undefined)).toEqual(["q12"])
})
