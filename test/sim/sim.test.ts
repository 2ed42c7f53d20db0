import { expect, test } from "bun:test"
import { FAULTS, keptSeeds, type Result, SABOTAGES, SHAPES, shapeFor, shows, simulate } from "@headrace/sim"

const SEEDS = 1_000
/** Seeds within which each broken protocol must be found. */
const PATIENCE = 1_000
const MINUTES = 60_000

const expectFine = (options: Parameters<typeof simulate>[0]): Result => {
  const result = simulate(options)
  const { seed, shape, violations } = result
  expect({ seed, shape, violations }).toEqual({ seed, shape, violations: [] })
  return result
}

test(
  "nothing is lost, doubled or out of order, whatever goes wrong",
  () => {
    const injected = new Map(FAULTS.map(fault => [fault, 0]))
    for (let seed = 1; seed <= SEEDS; seed++)
      for (const [fault, times] of expectFine({ seed }).injected) injected.set(fault, injected.get(fault)! + times)
    // Where nothing goes wrong nothing is proven.
    for (const [fault, times] of injected) expect({ fault, enough: times >= 100 }).toEqual({ fault, enough: true })
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
    const shape = shapeFor(sabotage)
    // By what it has to come to, not by something that is broken beside it.
    const found = Array.from({ length: PATIENCE }, (_, i) => i + 1).find(seed =>
      simulate({ seed, sabotage, ...(shape && { shape }) }).violations.some(violation => shows(sabotage, violation))
    )
    expect(found).toBeDefined()
    // And by nothing that would have happened anyway.
    expectFine({ seed: found!, ...(shape && { shape }) })
  },
  2 * MINUTES
)
