/** The lane that `npm run nexmark` measures reads all there is, and writes what the query gives. */
import { expect, test } from "bun:test"
import { NexmarkGenerator } from "../../nexmark/generator/generator.ts"
import { nexmarkDefaults } from "../../nexmark/generator/options.ts"
import { runInMemory } from "../../nexmark/memory/run.ts"
import { QUERIES } from "../../nexmark/queries.ts"
import { NAIVE, worldOf } from "./naive.ts"

const EVENTS = 40_000

const run = (query: string, events = EVENTS) => runInMemory(QUERIES[query]!, nexmarkDefaults, events)

/** The first events of the kinds that a query reads. */
const world = (kinds: readonly string[]) => {
  const events = [...new NexmarkGenerator(nexmarkDefaults).take(2 * EVENTS)]
  return worldOf(events.filter(({ kind }) => kinds.includes(kind)).slice(0, EVENTS), [])
}

test.each(["q0", "q2", "q14", "q21"])("%s", async query => {
  const { events, seconds, cpuSeconds, results } = await run(query)
  expect(results).toBe(NAIVE[query]!(world(["bid"])).length)
  // Behind the first fifth, up to the last batch.
  expect(events).toBeGreaterThan(EVENTS / 4)
  expect(Math.min(seconds, cpuSeconds)).toBeGreaterThan(0)
})

test("a run that is too short says so", async () => {
  await expect(run("q0", 100)).rejects.toThrow("100 events are too few to measure")
})
