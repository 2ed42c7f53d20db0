import { expect, test } from "bun:test"
import { Effect } from "effect"
import { rangeOf } from "../src/range.ts"

const log = { topic: "movements", partition: 0 }
/** As librdkafka answers: two offsets, the smaller one first. */
const asked = (one: number, other: number) => ({
  watermarkOffsets: async () => ({ low: Math.min(one, other), high: Math.max(one, other) })
})
const rangeIn = (first: number, stable: number, end: number) =>
  Effect.runPromise(rangeOf(asked(first, end), asked(first, stable), log))

test("a log goes from its first offset to its last stable one", async () => {
  expect(await rangeIn(3, 7, 9)).toEqual({ start: 3, end: 7 })
  expect(await rangeIn(0, 0, 0)).toEqual({ start: 0, end: 0 })
})

test("where retention has overtaken an open transaction, nothing of it is to be read, and it begins where it begins", async () => {
  expect(await rangeIn(5, 2, 9)).toEqual({ start: 5, end: 5 })
})
