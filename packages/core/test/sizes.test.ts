/** What state takes is known before it is written: a bound that only counted what was would be none within a transaction. */
import { describe, expect, test } from "bun:test"
import { ByteWriter, keyBy, keyed, MemorySpill, PartitionState } from "../src/index.ts"
import { Cells } from "../src/state/cells.ts"
import { json } from "./json.ts"
import { type Event, type Make, STEPS } from "./timedSteps.ts"

/** Of a step after this many events, and those of a transaction behind them: before that is written, and afterwards. */
const sizesOf = (make: Make, written: number, events: number) => {
  const key = keyed()
  const nowhere = { next: () => {}, watermark: () => {} }
  const { step, input } = make({ key, output: nowhere, late: nowhere, atOnce: 1 })
  const state = new PartitionState([step])
  const head = keyBy((event: Event) => event.key, key, input)
  const out = new ByteWriter(1 << 16)
  let made = 0
  const bring = (events: number): void => {
    for (const end = made + events; made < end; made++) {
      const event = { key: `key-${made}`, value: made % 10, ts: 100 + (made % 5) }
      head.next(event, event.ts)
    }
  }
  bring(written)
  state.delta(out)
  bring(events)
  const before = state.size().bytes
  state.delta(out)
  return { before, afterwards: state.size().bytes }
}

describe.each(Object.entries(STEPS))("%s", (_, make) => {
  test("what a transaction brings counts as much before it is written as afterwards", () => {
    const { before, afterwards } = sizesOf(make, 100, 10_000)
    expect(before).toBeGreaterThan(0.9 * afterwards)
    expect(before).toBeLessThan(1.1 * afterwards)
  })

  test("as long as none was, small values are taken for larger ones", () => {
    const { before, afterwards } = sizesOf(make, 0, 1000)
    expect(before).toBeGreaterThan(0.9 * afterwards)
    expect(before).toBeLessThan(10 * afterwards)
  })
})

test("of a value that was changed in its place, and never put, no more leaves than came", () => {
  const cells = new Cells<unknown>({ id: "step", handle: 1, codec: json, timed: false })
  const values = Array.from({ length: 1000 }, () => ({ text: "short" }))
  for (const [i, value] of values.entries()) cells.put(i, undefined, value, Number.POSITIVE_INFINITY)
  cells.delta(new ByteWriter(1 << 16))
  for (const value of values) value.text = "longer than it was".repeat(10)
  cells.age(new MemorySpill())
  cells.drain(1000)
  expect(cells.size().bytes).toBe(0)
})
