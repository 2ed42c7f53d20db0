import { expect, test } from "bun:test"
import { join } from "node:path"
import { runAll, runCase } from "./vectors/run.ts"

/** As many as the project has: a file that is not found is not a case that passed. */
const CASES = 342 + 879 + 2 * 48

const results = runAll(join(import.meta.dir, "../vectors"))

for (const { kind, passed, failed } of results)
  test(`Flink's results: ${kind}, ${passed + failed.length} cases, restored and repartitioned`, () => {
    expect(failed).toEqual([])
  })

test("all cases were run", () => {
  expect(results.reduce((sum, { passed, failed }) => sum + passed + failed.length, 0)).toBe(CASES)
})

test("a case may have more partial matches than a pipeline has by default", () => {
  const is = (value: string) => ({ field: "name", op: "==", value })
  const often = { times: { oneOrMore: true }, allowCombinations: true }
  const pattern = [
    { name: "a", where: is("a") },
    { name: "b", contiguity: "followedByAny", where: is("b"), ...often },
    { name: "c", contiguity: "followedBy", where: is("c") }
  ]
  const names = ["a", ..."b".repeat(10), "c"]
  const events = names.map((name, i) => ({
    event: { id: i + 1, key: "k", name, value: 0, ts: (i + 1) * 1000 },
    ...{ emits: [], timeouts: [], late: [] }
  }))
  // Each choice of the b, but none of them.
  const emits = Array.from({ length: 2 ** 10 - 1 }, (_, i) => {
    const b = Array.from({ length: 10 }, (_, j) => j + 2).filter(id => ((i + 1) >> (id - 2)) % 2 === 1)
    return { key: "k", match: { a: [1], b, c: [12] } }
  })
  const steps = [...events, { watermark: "max" as const, emits, timeouts: [], late: [] }]
  expect(
    runCase({ name: "many", kind: "cep", spec: { pattern, within: null, skip: { type: "no-skip" } }, steps })
  ).toBe(undefined)
})
