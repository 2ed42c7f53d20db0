import { expect, test } from "bun:test"
import fc from "fast-check"
import { MAX_RANGES, type Plan, parsePlan, planText } from "../src/block.ts"
import { startOf } from "../src/starts.ts"

const range = fc
  .record({ partition: fc.nat(100_000), first: fc.maxSafeNat(), length: fc.nat(10_000_000), rows: fc.nat(10_000_000) })
  .map(({ length, first, ...rest }) => {
    const safe = Math.min(first, Number.MAX_SAFE_INTEGER - length - 1)
    return { ...rest, first: safe, last: safe + length }
  })
const plan: fc.Arbitrary<Plan> = fc.record({
  timestamp: fc.maxSafeNat(),
  ranges: fc.array(range, { minLength: 1, maxLength: MAX_RANGES })
})

test("a plan survives its text, which fits into an offset's metadata", () => {
  fc.assert(
    fc.property(plan, given => {
      const text = planText(given)
      expect(text.length).toBeLessThan(4096)
      expect(parsePlan(text)).toEqual(given)
    })
  )
})

test("metadata of others is no plan", () => {
  for (const text of [
    "",
    "hello",
    "headrace1;",
    "headrace1;1;",
    "headrace1;1;0:1",
    "headrace1;1;0:1+2/3,x",
    "other;1;0:1+2/3"
  ])
    expect(parsePlan(text)).toBeUndefined()
})

test("where a partition goes on: after what is finished, again what is open, never on a guess", () => {
  const metadata = planText({ timestamp: 5, ranges: [{ partition: 1, first: 10, last: 19, rows: 8 }] })
  const committed = (offset: number, text: string) => ({ topic: "t", partition: 1, offset, metadata: text })
  const known = { partition: 1, committed: committed(10, metadata), finished: undefined, held: undefined, start: 0 }
  expect(startOf("t", known)).toMatchObject({ offset: 20, open: { timestamp: 5 } })
  expect(startOf("t", { ...known, finished: 10 })).toMatchObject({ offset: 20, open: { timestamp: 5 } })
  expect(startOf("t", { ...known, finished: 20, start: 15 })).toMatchObject({ offset: 20, open: undefined })
  expect(startOf("t", { ...known, committed: committed(20, ""), finished: 20 })).toMatchObject({ offset: 20 })
  expect(startOf("t", { ...known, committed: undefined, start: 3 })).toMatchObject({ offset: 3, open: undefined })
  expect(() => startOf("t", { ...known, start: 11 })).toThrow("retention")
  expect(() => startOf("t", { ...known, finished: 21 })).toThrow("ledger")
  expect(startOf("t", { ...known, finished: 10, held: 20 })).toMatchObject({ offset: 20, open: { timestamp: 5 } })
  expect(() => startOf("t", { ...known, finished: 20, held: 21 })).toThrow("table holds rows up to offset 20")
  expect(() => startOf("t", { ...known, committed: undefined, held: 1 })).toThrow("table holds")
  expect(() => startOf("t", { ...known, committed: undefined, finished: 1 })).toThrow("no committed offset")
})
