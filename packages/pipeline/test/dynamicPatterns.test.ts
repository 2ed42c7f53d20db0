import { expect, test } from "bun:test"
import { DynamicPatterns, type Heard, keyBy, keyed, type PatternChange } from "@headrace/core"
import { patternOf, readSpec } from "../src/patternReader.ts"
import type { PatternSpec, WhereSpec } from "../src/patternSpec.ts"

/** Says how often somebody asked what it is. */
class Event {
  asked = 0
  private readonly name: unknown

  constructor(name: unknown) {
    this.name = name
  }

  get kind(): unknown {
    this.asked++
    return this.name
  }
}

const read = ({ id, spec }: PatternChange) => ({
  id,
  pattern: patternOf(readSpec(JSON.parse(spec))).done(),
  what: spec,
  select: () => ({ id })
})

/** One partition with these patterns, `p0`, `p1` and so on. `push` takes an event through it; `found`: of whichever patterns. */
const installed = (specs: readonly PatternSpec[]) => {
  const found: string[] = []
  const heard: Heard[] = []
  const key = keyed()
  const operator = new DynamicPatterns({
    ...{ id: "d", what: "d", key, read, late: undefined, applied: undefined },
    codec: { shape: "any", write: () => {}, read: () => new Event("a") },
    place: { partition: 0, partitions: 1 },
    output: { next: record => void found.push((record as { id: string }).id), watermark: () => {} },
    tell: { next: record => void heard.push(record as Heard), watermark: () => {} }
  })
  for (const [i, spec] of specs.entries()) {
    const said = { turn: 1, version: 1, status: "active", spec: JSON.stringify(spec), request: "", said: 0 } as const
    operator.changes.next({ id: `p${i}`, ...said }, 0)
  }
  for (const one of heard) operator.heard.next(one, 0)
  operator.watermark(0)
  const head = keyBy(() => "k", key, operator)
  let time = 0
  const push = (event: Event): Event => {
    head.next(event, ++time)
    head.watermark(time)
    return event
  }
  return { found, push }
}

const is = (value: string | number): WhereSpec => ({ field: "kind", op: "==", value })
const one = (where: WhereSpec): PatternSpec => ({ pattern: [{ name: "one", where }] })
const two = (first: WhereSpec, second: WhereSpec): PatternSpec => ({
  pattern: [
    { name: "first", where: first },
    { name: "second", contiguity: "followedBy", where: second }
  ]
})

test("conditions that say the same are asked once an event, in however many patterns they came", () => {
  const { found, push } = installed(Array.from({ length: 100 }, () => two(is("a"), is("b"))))
  const asked = ["c", "a", "b"].map(name => push(new Event(name)).asked)
  expect(found.length).toBe(100)
  // Once to see what it may begin; where that is something, and once a match waits for the second one, conditions are asked as well.
  expect(asked).toEqual([1, 2, 3])
})

test("of patterns that begin with a value of one field those are found by it that do, and no other is asked", () => {
  const { found, push } = installed(Array.from({ length: 1_000 }, (_, i) => one({ and: [is(i), is(i)] })))
  expect(push(new Event("a")).asked).toBe(1)
  expect(push(new Event(7)).asked).toBe(2)
  expect(found).toEqual(["p7"])
})

test("of conditions that all have to hold the one that fewest patterns ask says what may begin", () => {
  const often: WhereSpec = { field: "kind", op: "!=", value: "a" }
  const { found, push } = installed(Array.from({ length: 100 }, (_, i) => one({ and: [often, is(i)] })))
  expect(push(new Event("b")).asked).toBe(1)
  push(new Event(7))
  expect(found).toEqual(["p7"])
})

test("what is found by a value is what fits, whatever the values", () => {
  const wheres: readonly WhereSpec[] = [
    ...[0, -0, 1, 2 ** 53, "1", "", true, false].map((value): WhereSpec => ({ field: "kind", op: "==", value })),
    ...[[], [1, 1, 2], ["1", 1, true], [2 ** 53, "a"]].map((value): WhereSpec => ({ field: "kind", op: "in", value })),
    { or: [is(1), is(2)] },
    { or: [is("a"), { field: "kind.length", op: "==", value: 0 }] },
    { not: is(1) }
  ]
  const values = [
    0,
    -0,
    1,
    2,
    1n,
    2n ** 53n,
    2n ** 53n + 1n,
    "1",
    "a",
    "",
    true,
    false,
    null,
    undefined,
    Number.NaN,
    {}
  ]
  for (const value of values) {
    const together = installed(wheres.map(one))
    together.push(new Event(value))
    // Behind two negations nothing is looked up: the condition is asked.
    const asked = installed(wheres.map(where => one({ not: { not: where } })))
    asked.push(new Event(value))
    expect(together.found.toSorted()).toEqual(asked.found.toSorted())
  }
})
