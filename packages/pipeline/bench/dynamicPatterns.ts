import { type Event, feed, MINUTE, type PatternBench, tell } from "../../core/bench/patternFeed.ts"
import { DynamicPatterns } from "../../core/src/operators/dynamicPatterns.ts"
import type { Heard, PatternChange } from "../../core/src/pattern/agreement.ts"
import { patternOf, readSpec } from "../src/patternReader.ts"
import type { ElementSpec, PatternSpec, WhereSpec } from "../src/patternSpec.ts"

const within = { ms: MINUTE, type: "first-and-last" } as const
const field = (name: keyof Event, value: string | number): WhereSpec => ({ field: name, op: "==", value })
const payment = field("kind", "payment")
const failed = field("kind", "failed")

/** Rules of each amount: a payment of it, then a failed login. Each amount is asked for by so many of them. */
const many = (count: number, sharedBy: number): readonly PatternSpec[] =>
  Array.from({ length: count }, (_, i) => ({
    pattern: [
      { name: "first", where: { and: [field("cents", 90_000 + Math.floor(i / sharedBy)), payment] } },
      { name: "second", contiguity: "followedBy", where: failed }
    ],
    within
  }))

/** So many steps, each of which is begun by most events of the one before it. */
const long = (length: number): readonly PatternSpec[] => [
  {
    pattern: Array.from(
      { length },
      (_, i): ElementSpec => ({
        name: `step ${i}`,
        ...(i === 0 ? { where: failed } : { contiguity: "followedBy" as const, where: payment })
      })
    ),
    within
  }
]

/** As the step of a running job reads what was said about a pattern. */
const read = ({ id, version, spec }: PatternChange) => ({
  id,
  pattern: patternOf(readSpec(JSON.parse(spec))).done(),
  what: `${version} ${spec}`,
  select: () => ({ id })
})

/** A partition that is the only one of its step, to which each pattern came from the control topic. */
const installed = (name: string, patterns: readonly PatternSpec[]): PatternBench =>
  feed(name, options => {
    const heard: Heard[] = []
    const operator = new DynamicPatterns({
      ...options,
      read,
      place: { partition: 0, partitions: 1 },
      tell: { next: record => void heard.push(record as Heard), watermark: () => {} },
      applied: undefined
    })
    for (const [i, spec] of patterns.entries()) {
      const change = {
        id: `rule ${i}`,
        turn: 1,
        version: 1,
        status: "active",
        spec: JSON.stringify(spec),
        request: "",
        said: 0
      }
      operator.changes.next(change, 0)
    }
    for (const one of heard) operator.heard.next(one, 0)
    operator.watermark(0)
    return operator
  })

/** Patterns as data by their number, by how many share a condition, and by their length. */
const cases: readonly (() => PatternBench)[] = [
  ...[1, 10, 100, 1_000].map(count => () => installed(`${count} dynamic patterns, ten of an amount`, many(count, 10))),
  ...[1, 100, 1_000].map(
    shared => () => installed(`1000 dynamic patterns, ${shared} of an amount`, many(1_000, shared))
  ),
  ...[2, 4, 8, 16].map(length => () => installed(`a dynamic pattern of ${length} steps`, long(length)))
]

/** `bun packages/pipeline/bench/dynamicPatterns.ts [from] [to]`. */
if (import.meta.main) tell(cases)
