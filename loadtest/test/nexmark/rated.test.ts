import { expect, test } from "bun:test"
import { type Rated, rated } from "../../nexmark/rated.ts"

const RATE: Rated = { events: 300_000, seconds: 2, cpuSeconds: 1, more: {} }

const run = async (queries: readonly string[], rounds: number, measure: (query: string, round: number) => Rated) => {
  const lines: string[] = []
  const print = { log: (line: string) => lines.push(line), error: (line: string) => lines.push(line) }
  const all = {
    queries,
    rounds,
    operators: () => "",
    measure: async (...of: [string, number]) => measure(...of),
    print
  }
  return { ...(await rated(all)), lines }
}

test("a rate that has a start in it says so", async () => {
  const { lines } = await run(["q0", "q1"], 2, (query, round) => ({
    ...RATE,
    withStart: query === "q1" && round === 1
  }))
  expect(lines).toEqual([
    "q0: 150,000 events/s",
    "q1: 150,000 events/s, start included: too few events to leave it out"
  ])
})

test("a query that fails leaves the others their figures", async () => {
  const { lines, rows, failed } = await run(["q1", "q2"], 1, query => {
    if (query === "q1") throw new Error("the broker is gone")
    return RATE
  })
  expect(lines).toEqual(["q1 failed: the broker is gone", "q2: 150,000 events/s"])
  expect(rows.map(({ query }) => query)).toEqual(["q2"])
  expect(failed).toBe(true)
})
