import { expect, test } from "bun:test"
import { ByteWriter } from "../../src/bytes.ts"
import { keyed } from "../../src/key.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { PatternMatch } from "../../src/operators/patternMatch.ts"
import type { PatternOf } from "../../src/pattern/set.ts"
import type { Condition, Step } from "../../src/pattern/spec.ts"
import { blockOf } from "../../src/state/block.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { merged } from "../harness.ts"
import { json as codec } from "../json.ts"

interface Event {
  readonly name: string
  readonly at: number
}

const is = (name: string, asked?: (event: Event) => void): Condition => ({
  kind: "test",
  test: (event: Event) => {
    asked?.(event)
    return event.name === name
  }
})

const pattern = (id: string, steps: readonly Step[], what = id): PatternOf => ({
  id,
  what,
  pattern: { steps, skip: { kind: "none" } },
  select: (match: Readonly<Record<string, readonly Event[]>>) => [
    id,
    Object.values(match)
      .flat()
      .map(one => one.at)
  ]
})

const chain = (patterns: readonly PatternOf[], maxPartials?: number) => {
  const key = keyed()
  const found: object[] = []
  const output = { next: (record: object) => void found.push(record), watermark: () => {} }
  const operator = new PatternMatch({ id: "p", patterns, what: "t", key, codec, output, late: undefined, maxPartials })
  const head = keyBy(() => "k", key, operator)
  const state = new PartitionState([operator])
  const push = (...names: readonly string[]) => {
    for (const name of names) {
      const at = ++chain.time
      head.next({ name, at }, at)
    }
    head.watermark(chain.time)
  }
  const snapshot = () => {
    const out = new ByteWriter(16)
    state.snapshot(out)
    return out.written().slice()
  }
  return { operator, found, push, state, snapshot }
}
chain.time = 0

test("a test that patterns share is asked once an event; one that begins nothing asks no more", () => {
  chain.time = 0
  let asked = 0
  let later = 0
  const first = is("a", () => void asked++)
  const second = is("b", () => void later++)
  const patterns = Array.from({ length: 100 }, (_, i) =>
    pattern(`p${i}`, [
      { name: "first", where: first },
      { name: "second", contiguity: "followedBy", where: second }
    ])
  )
  const { push, found, operator } = chain(patterns)
  push("c", "c", "b")
  expect([asked, later]).toEqual([3, 0])
  expect(operator.memory.size().keys).toBe(0)
  push("a", "b")
  expect([asked, later]).toEqual([5, 1])
  expect(found.length).toBe(100)
})

test("of more partial matches than the limit those that began earliest go, counted", () => {
  chain.time = 0
  const steps: readonly Step[] = [
    { name: "first", where: is("a") },
    { name: "last", contiguity: "followedBy", where: is("b") }
  ]
  const { push, found, operator } = chain([pattern("p", steps)], 3)
  push("a", "a", "a", "a", "a", "b")
  expect(found).toEqual([
    ["p", [3, 6]],
    ["p", [4, 6]],
    ["p", [5, 6]]
  ])
  expect(operator.counts).toEqual([{ id: "p", overflowed: 2, dropped: 0, timedOut: 0 }])
  expect(operator.totals).toMatchObject({ overflowed: 2, dropped: 0 })
})

test("what doubles with each event stays within the limit", () => {
  chain.time = 0
  const { push, operator, snapshot } = chain([
    pattern("p", [
      { name: "first", where: is("a") },
      {
        name: "more",
        contiguity: "followedByAny",
        where: is("a"),
        times: { from: 1, to: Number.POSITIVE_INFINITY },
        inner: "combinations"
      },
      { name: "end", contiguity: "followedByAny", where: is("b") }
    ])
  ])
  for (let i = 0; i < 30; i++) push("a")
  expect(operator.totals.overflowed).toBeGreaterThan(10_000)
  expect(snapshot().length).toBeLessThan(100_000)
})

test("patterns come, change and go: each finds its own state, and the rest is dropped, counted", () => {
  chain.time = 0
  const ab = (id: string, what?: string) =>
    pattern(
      id,
      [
        { name: "first", where: is("a") },
        { name: "last", contiguity: "followedBy", where: is("b") }
      ],
      what
    )
  const before = chain([ab("stays"), ab("changes"), ab("goes")])
  before.push("a")
  const after = chain([ab("new"), ab("changes", "another"), ab("stays")])
  after.state.putBack(blockOf(merged([], [before.snapshot()])))
  after.push("b")
  expect(after.found).toEqual([["stays", [1, 2]]])
  expect(after.operator.counts).toEqual([
    { id: "new", overflowed: 0, dropped: 0, timedOut: 0 },
    { id: "changes", overflowed: 0, dropped: 1, timedOut: 0 },
    { id: "stays", overflowed: 0, dropped: 0, timedOut: 0 },
    { id: "goes", overflowed: 0, dropped: 1, timedOut: 0 }
  ])
  expect(after.operator.memory.size().keys).toBe(0)
})
