import { expect, test } from "bun:test"
import { keptSeeds, SABOTAGES, SHAPES, simulate } from "@headrace/sim"

const SEEDS = 1_000
/** Seeds within which each broken protocol must be found. */
const PATIENCE = 1_000
const MINUTES = 60_000

const expectFine = (options: Parameters<typeof simulate>[0]): void => {
  const { seed, shape, violations } = simulate(options)
  expect({ seed, shape, violations }).toEqual({ seed, shape, violations: [] })
}

test(
  "nothing is lost, doubled or out of order, whatever goes wrong",
  () => {
    for (let seed = 1; seed <= SEEDS; seed++) expectFine({ seed })
  },
  5 * MINUTES
)

test("seeds that failed once stay mended", () => {
  for (const { seed, shape } of keptSeeds()) expectFine({ seed, ...(shape && { shape }) })
})

test.each([...SHAPES])("the same seed is the same run: %s", shape => {
  const run = () => {
    const lines: string[] = []
    const { digest } = simulate({ seed: 11, shape, print: line => lines.push(line) })
    return { digest, lines }
  }
  const first = run()
  expect(first.lines.length).toBeGreaterThan(100)
  expect(run()).toEqual(first)
  expect(simulate({ seed: 12, shape }).digest).not.toBe(first.digest)
})

test.each([...SABOTAGES])(
  "a broken protocol is found: %s",
  sabotage => {
    const found = Array.from({ length: PATIENCE }, (_, i) => i + 1).find(
      seed => simulate({ seed, sabotage }).violations.length > 0
    )
    expect(found).toBeDefined()
  },
  2 * MINUTES
)
