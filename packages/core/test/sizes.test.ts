/** What state takes is known before it is written: a bound that only counted what was would be none within a transaction. */
import { describe, expect, test } from "bun:test"
import { ByteWriter, keyBy, keyed, PartitionState } from "../src/index.ts"
import { type Event, type Make, STEPS } from "./timedSteps.ts"

/** Of a step after a first transaction, and what a second, much larger one adds to it: before that is written, and behind. */
const sizesOf = (make: Make) => {
  const key = keyed()
  const nowhere = { next: () => {}, watermark: () => {} }
  const { step, input } = make({ key, output: nowhere, late: nowhere, atOnce: 1 })
  const state = new PartitionState([step])
  const head = keyBy((event: Event) => event.key, key, input)
  const out = new ByteWriter(1 << 16)
  let made = 0
  const sizeAfter = (events: number): number => {
    for (const end = made + events; made < end; made++) {
      const event = { key: `key-${made}`, value: made % 10, ts: 100 + (made % 5) }
      head.next(event, event.ts)
    }
    return state.size().bytes
  }
  sizeAfter(100)
  state.delta(out)
  const before = sizeAfter(10_000)
  state.delta(out)
  return { before, behind: state.size().bytes }
}

describe.each(Object.entries(STEPS))("%s", (_, make) => {
  test("what a transaction brings counts as much before it is written as behind", () => {
    const { before, behind } = sizesOf(make)
    expect(before).toBeGreaterThan(0.9 * behind)
    expect(before).toBeLessThan(1.1 * behind)
  })
})
