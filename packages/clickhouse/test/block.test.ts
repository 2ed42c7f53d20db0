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
  const known = {
    partition: 1,
    committed: committed(10, metadata),
    finished: undefined,
    held: undefined,
    start: 0,
    end: 40
  }
  expect(startOf("t", known, "stop")).toMatchObject({ offset: 20, open: { timestamp: 5 } })
  expect(startOf("t", { ...known, finished: 10 }, "stop")).toMatchObject({ offset: 20, open: { timestamp: 5 } })
  expect(startOf("t", { ...known, finished: 20, start: 15 }, "stop")).toMatchObject({ offset: 20, open: undefined })
  expect(startOf("t", { ...known, committed: committed(20, ""), finished: 20 }, "stop")).toMatchObject({ offset: 20 })
  expect(startOf("t", { ...known, committed: undefined, start: 3 }, "stop")).toMatchObject({
    offset: 3,
    open: undefined
  })
  // Another job's place holds in the table that this one has filled, and in no other one.
  const handed = { ...known, committed: committed(10, `${metadata};handed over by other`) }
  expect(startOf("t", { ...handed, finished: 10 }, "stop")).toMatchObject({ offset: 20, open: { timestamp: 5 } })
  expect(startOf("t", { ...handed, start: 10 }, "stop")).toMatchObject({ offset: 20, open: { timestamp: 5 } })
  expect(() => startOf("t", handed, "stop")).toThrow("no rows that other has put into this table")
  for (const lost of ["stop", "earliest", "latest"] as const)
    expect(() => startOf("t", { ...known, start: 11 }, lost)).toThrow("unfinished block")
  const eaten = { ...known, finished: 20, start: 25 }
  expect(() => startOf("t", eaten, "stop")).toThrow("offsets.lost to earliest (from 25) or latest (from 40)")
  expect(startOf("t", eaten, "earliest")).toMatchObject({ offset: 25, lostFrom: 20 })
  expect(startOf("t", eaten, "latest")).toMatchObject({ offset: 40, lostFrom: 20 })
  expect(() => startOf("t", { ...known, finished: 21 }, "stop")).toThrow("ledger")
  expect(startOf("t", { ...known, finished: 10, held: 20 }, "stop")).toMatchObject({
    offset: 20,
    open: { timestamp: 5 }
  })
  expect(() => startOf("t", { ...known, finished: 20, held: 21 }, "stop")).toThrow("table holds rows up to offset 20")
  expect(() => startOf("t", { ...known, committed: undefined, held: 1 }, "stop")).toThrow("table holds")
  expect(() => startOf("t", { ...known, committed: undefined, finished: 1 }, "stop")).toThrow("no committed offset")
})
