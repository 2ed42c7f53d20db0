/** What patterns have under way in other numbers of partitions: each key goes on from where its own had come to. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { type Key, keyed } from "../../src/key.ts"
import { END_OF_TIME, type Input } from "../../src/operator.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { PatternMatch } from "../../src/operators/patternMatch.ts"
import type { Path } from "../../src/pattern/path.ts"
import type { PatternOf } from "../../src/pattern/set.ts"
import type { Condition, Skip, Step } from "../../src/pattern/spec.ts"
import { blockOf, type Entry } from "../../src/state/block.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { json as codec } from "../json.ts"
import { entriesOf, placeOf, rescale } from "../rescaling.ts"

interface Event {
  readonly key: string
  readonly ts: number
  readonly name: string
}

const BOUND = 5
const is = (names: string): Condition => ({ kind: "test", test: (event: Event) => names.includes(event.name) })
const pattern = (id: string, steps: readonly Step[], skip: Skip["kind"], withinMs: number): PatternOf => ({
  id,
  what: id,
  pattern: { steps, withinMs, skip: { kind: skip } as Skip },
  select: (match: object, key: Key, path: Path) => ({ id, key, match, how: path().map(({ ignored }) => ignored) }),
  selectTimeout: (partial: object, key: Key) => ({ id, key, partial })
})

const PATTERNS = [
  pattern(
    "pair",
    [
      { name: "a", where: is("a"), times: { from: 1, to: 3 } },
      { name: "b", contiguity: "followedBy", where: is("b") }
    ],
    "pastLast",
    40
  ),
  pattern(
    "silent",
    [
      { name: "c", where: is("c") },
      { name: "d", contiguity: "notFollowedBy", where: is("d") }
    ],
    "none",
    12
  )
]

/** One partition, and what came out of it. */
class Partition {
  readonly out: string[] = []
  readonly state: PartitionState
  private readonly operator: PatternMatch
  private readonly head: Input
  private maximum = Number.NEGATIVE_INFINITY

  constructor(entries: Iterable<Entry> = []) {
    const key = keyed()
    const output: Input = {
      next: (record, ts) => void this.out.push(JSON.stringify([ts, record])),
      watermark: () => {}
    }
    const late: Input = { next: event => void this.out.push(`late ${JSON.stringify(event)}`), watermark: () => {} }
    const options = { id: "p", what: "test", patterns: PATTERNS, key, codec, output, timeouts: output, late }
    this.operator = new PatternMatch({ ...options, counted: true })
    this.head = keyBy((event: Event) => event.key, key, this.operator)
    this.state = new PartitionState([this.operator])
    this.state.putBack(blockOf(entries))
  }

  get definitions() {
    return new Map([[this.operator.definition.id, this.operator.definition]])
  }

  run(events: readonly Event[]): this {
    for (const event of events) {
      this.maximum = Math.max(this.maximum, event.ts)
      this.head.next(event, event.ts)
      this.head.watermark(this.maximum - BOUND - 1)
    }
    return this
  }

  end(): this {
    this.head.watermark(END_OF_TIME)
    return this
  }
}

const anyEvents = fc
  .array(
    fc.record({
      key: fc.constantFrom("a", "b", "c", "d", "e", "key-7", "key-8"),
      jitter: fc.integer({ min: 0, max: BOUND }),
      name: fc.constantFrom("a", "b", "c", "d")
    }),
    { minLength: 20, maxLength: 90 }
  )
  .map(events => events.map(({ key, jitter, name }, i): Event => ({ key, ts: i * 2 + jitter, name })))

const inPartitions = (events: readonly Event[], partitions: number): readonly Event[][] =>
  Array.from({ length: partitions }, (_, one) => events.filter(event => placeOf(event.key, partitions) === one))

/** The partitions that go on from others. */
const next = (before: readonly Partition[], count: number, events: readonly Event[]): readonly Partition[] => {
  const states = rescale(
    before.map(({ state }) => entriesOf(state)),
    count,
    new Partition().definitions
  )
  return inPartitions(events, count).map((part, i) => new Partition(states[i]!).run(part))
}

test("2 → 4 → 2 gives the matches of a run that was never moved, and all that they ignored", () => {
  let matches = 0
  fc.assert(
    fc.property(anyEvents, fc.nat(40), fc.nat(40), (events, first, more) => {
      const two = inPartitions(events.slice(0, first), 2).map(part => new Partition().run(part))
      const four = next(two, 4, events.slice(first, first + more))
      const again = next(four, 2, events.slice(first + more)).map(one => one.end())
      const whole = new Partition().run(events).end().out
      matches += whole.length
      expect([...two, ...four, ...again].flatMap(({ out }) => out).sort()).toEqual(whole.toSorted())
    }),
    { numRuns: 100, seed: 24 }
  )
  expect(matches).toBeGreaterThan(500)
})
