import { expect, test } from "bun:test"
import { SABOTAGES, SHAPES, simulate } from "@headrace/sim"

const SEEDS = 250
/** Seeds within which each broken protocol must be found. */
const PATIENCE = 500

test("nothing is lost, doubled or out of order, whatever goes wrong", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations, shape } = simulate({ seed })
    expect({ seed, shape, violations }).toEqual({ seed, shape, violations: [] })
  }
}, 60_000)

test.each([...SHAPES])("the same seed is the same run: %s", shape => {
  const traceOf = (): string[] => {
    const lines: string[] = []
    simulate({ seed: 11, shape, print: line => lines.push(line) })
    return lines
  }
  const first = traceOf()
  expect(first.length).toBeGreaterThan(100)
  expect(traceOf()).toEqual(first)
})

// A lane whose last transaction the coordinator had aborted, unknown to it, counted as done.
test.each([
  [750, "process"],
  [407, "behind"]
] as const)("a seed that failed once: %d, %s", (seed, shape) => {
  expect(simulate({ seed, shape }).violations).toEqual([])
})

test.each([...SABOTAGES])(
  "a broken protocol is found: %s",
  sabotage => {
    const found = Array.from({ length: PATIENCE }, (_, i) => i + 1).find(
      seed => simulate({ seed, sabotage }).violations.length > 0
    )
    expect(found).toBeDefined()
  },
  60_000
)
