import { expect, test } from "bun:test"
import { join } from "node:path"
import { runAll } from "./vectors/run.ts"

/** As many as the project has: a file that is not found is not a case that passed. */
const CASES = 342 + 879 + 48

const results = runAll(join(import.meta.dir, "../vectors"))

for (const { kind, passed, failed } of results)
  test(`Flink's results: ${kind}, ${passed + failed.length} cases, restored and repartitioned`, () => {
    expect(failed).toEqual([])
  })

test("all cases were run", () => {
  expect(results.reduce((sum, { passed, failed }) => sum + passed + failed.length, 0)).toBe(CASES)
})
