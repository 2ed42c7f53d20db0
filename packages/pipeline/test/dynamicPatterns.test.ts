import { expect, test } from "bun:test"
import { DynamicPatterns, type Heard, keyBy, keyed, type PatternChange } from "@headrace/core"
import { patternOf, readSpec } from "../src/patternReader.ts"

/** Says how often somebody asked what it is. */
class Event {
  asked = 0
  private readonly name: string

  constructor(name: string) {
    this.name = name
  }

  get kind(): string {
    this.asked++
    return this.name
  }
}

const spec = JSON.stringify({
  pattern: [
    { name: "first", where: { field: "kind", op: "==", value: "a" } },
    { name: "second", contiguity: "followedBy", where: { field: "kind", op: "==", value: "b" } }
  ]
})

const read = ({ id }: PatternChange) => ({
  id,
  pattern: patternOf(readSpec(JSON.parse(spec))).done(),
  what: spec,
  select: () => ({ id })
})

test("conditions that say the same are asked once an event, in however many patterns they came", () => {
  const found: object[] = []
  const heard: Heard[] = []
  const key = keyed()
  const operator = new DynamicPatterns({
    ...{ id: "d", what: "d", key, read, late: undefined, applied: undefined },
    codec: { shape: "any", write: () => {}, read: () => new Event("a") },
    place: { partition: 0, partitions: 1 },
    output: { next: record => void found.push(record), watermark: () => {} },
    tell: { next: record => void heard.push(record as Heard), watermark: () => {} }
  })
  for (let i = 0; i < 100; i++) {
    const change: PatternChange = { id: `p${i}`, turn: 1, version: 1, status: "active", spec, request: "", said: 0 }
    operator.changes.next(change, 0)
  }
  for (const one of heard) operator.heard.next(one, 0)
  operator.watermark(0)
  const head = keyBy(() => "k", key, operator)
  const asked = ["c", "a", "b"].map((name, i) => {
    const event = new Event(name)
    head.next(event, i + 1)
    head.watermark(i + 1)
    return event.asked
  })
  expect(found.length).toBe(100)
  // The second condition is asked as well once something waits for it; the first one of each, for it may begin another match.
  expect(asked).toEqual([1, 1, 2])
})
