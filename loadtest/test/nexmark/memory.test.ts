/** The lane that `npm run nexmark` measures reads all there is, and writes what the query gives. */
import { expect, test } from "bun:test"
import { derive, makeDecoder } from "@headrace/avro"
import { of } from "@headrace/engine"
import { toPlan } from "headrace"
import { type NexmarkEvent, NexmarkGenerator } from "../../nexmark/generator/generator.ts"
import { nexmarkDefaults } from "../../nexmark/generator/options.ts"
import { runInMemory } from "../../nexmark/memory/run.ts"
import { QUERIES } from "../../nexmark/queries.ts"
import { auctions, bids, persons, sideInput } from "../../nexmark/sources.ts"
import { NAIVE, worldOf } from "./naive.ts"

const EVENTS = 40_000

const run = (query: string, events = EVENTS) => runInMemory(QUERIES[query]!, nexmarkDefaults, events)

/** The first events of the kinds that a query reads. */
const world = (...kinds: readonly NexmarkEvent["kind"][]) => {
  const events: NexmarkEvent[] = []
  for (const event of new NexmarkGenerator(nexmarkDefaults).take(Number.POSITIVE_INFINITY)) {
    if (kinds.includes(event.kind)) events.push(event)
    if (events.length === EVENTS) break
  }
  const side = Array.from({ length: 10_000 }, (_, key) => ({ key, value: `value ${key}` }))
  return worldOf(events, side)
}
const ofBids = world("bid")
const sales = world("person", "auction")

// Those whose results do not wait for event time; q3 and q13 have a second stage.
test.each([
  ["q0", ofBids],
  ["q2", ofBids],
  ["q14", ofBids],
  ["q21", ofBids],
  ["q3", sales],
  ["q13", ofBids]
] as const)("%s", async (query, from) => {
  const { events, seconds, cpuSeconds, results } = await run(query)
  expect(results).toBe(NAIVE[query]!(from).length)
  expect(results).toBeGreaterThan(0)
  // Behind the first fifth.
  expect(events).toBeGreaterThan(EVENTS / 4)
  expect(Math.min(seconds, cpuSeconds)).toBeGreaterThan(0)
})

test("every query can read what the topics hold", () => {
  const written = new Map([persons, auctions, bids, sideInput].map(({ spec }) => [spec.topic, spec.schema]))
  for (const query of Object.values(QUERIES))
    for (const { topic, schema } of of(toPlan(query), "source"))
      expect(() => makeDecoder(derive(schema, topic)).learn(1, derive(written.get(topic)!, topic))).not.toThrow()
})

test("a run that is too short says so", async () => {
  await expect(run("q0", 100)).rejects.toThrow("100 events are too few to measure")
})
