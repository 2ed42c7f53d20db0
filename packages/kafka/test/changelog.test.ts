import { expect, test } from "bun:test"
import { LogError } from "@headrace/engine"
import { Effect } from "effect"
import type { Arena } from "../src/arena.ts"
import { readToEnd } from "../src/changelog.ts"
import type { Poll } from "../src/consumer.ts"
import { polling } from "../src/polling.ts"

const LOG = { topic: "log", partition: 0 }
const end = (offset: number) => ({ type: "end", ...LOG, offset }) as const

/** Polls that hand over records of these offsets and tell of these ends. */
const polls = (answers: readonly { readonly offsets: readonly number[]; readonly ends: readonly number[] }[]) => {
  const left = [...answers]
  const poll = async (arena: Arena): Promise<Poll> => {
    const { offsets, ends } = left.shift()!
    offsets.forEach((offset, i) => {
      arena.stamps[i * 2] = offset
    })
    return { count: offsets.length, bytesUsed: 0, events: ends.map(end) }
  }
  return { poll, left }
}

const read = async (
  consumer: ReturnType<typeof polls>,
  from = LOG,
  enough = Number.POSITIVE_INFINITY,
  stable?: number
) => {
  const applied: number[] = []
  const reached = await Effect.runPromise(
    readToEnd(polling(consumer, 10), from, offset => applied.push(offset) < enough, undefined, stable)
  )
  return { reached, applied }
}

test("the end of a changelog may lie behind its last record, by the markers of transactions", async () => {
  expect(await read(polls([{ offsets: [3, 5], ends: [9] }]))).toEqual({ reached: 9, applied: [3, 5] })
})

test("an end that records were handed over behind is not the end", async () => {
  const consumer = polls([
    { offsets: [3, 4], ends: [4] },
    { offsets: [5], ends: [] },
    { offsets: [], ends: [7] }
  ])
  expect(await read(consumer)).toEqual({ reached: 7, applied: [3, 4, 5] })
  expect(consumer.left).toEqual([])
  expect(await read(polls([{ offsets: [3, 4, 8], ends: [4, 9] }]))).toEqual({ reached: 9, applied: [3, 4, 8] })
})

test("the end of a partition that was read before is not the end of this one", async () => {
  const other = { topic: "log", partition: 1 }
  const consumer = polls([
    { offsets: [], ends: [7] },
    { offsets: [3, 4], ends: [] }
  ])
  expect(await read(consumer, other, 2)).toEqual({ reached: 5, applied: [3, 4] })
})

test("an end that was told while less was stable is not the end", async () => {
  const consumer = polls([
    { offsets: [3], ends: [5] },
    { offsets: [], ends: [9] }
  ])
  expect(await read(consumer, LOG, undefined, 9)).toEqual({ reached: 9, applied: [3] })
})

test("what the engine throws at a record keeps its kind: a lane whose disk is full waits, and does not end its job", async () => {
  const full = new LogError("Gone", "the disk is full")
  const refuse = (): never => {
    throw full
  }
  const { poll } = polls([{ offsets: [3], ends: [] }])
  const found = await Effect.runPromise(Effect.flip(readToEnd(polling({ poll }, 10), LOG, refuse)))
  expect(found).toBe(full)
})
