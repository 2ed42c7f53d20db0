/** Patterns whose state is written, spilled and brought back between any two steps find what they find without. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { ByteWriter } from "../../src/bytes.ts"
import { type Key, keyed, readKey } from "../../src/key.ts"
import { END_OF_TIME } from "../../src/operator.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { PatternMatch } from "../../src/operators/patternMatch.ts"
import type { Path } from "../../src/pattern/path.ts"
import type { PatternOf } from "../../src/pattern/set.ts"
import type { Condition, Skip, Step } from "../../src/pattern/spec.ts"
import type { Entry } from "../../src/state/block.ts"
import { MemorySpill } from "../../src/state/memorySpill.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { blocksOf, merged } from "../harness.ts"
import { json as codec } from "../json.ts"

interface Event {
  readonly key: Key
  readonly name: string
  readonly at: number
  readonly id: number
}

const is = (names: string): Condition => ({ kind: "test", test: (event: Event) => names.includes(event.name) })

const pattern = (id: string, steps: readonly Step[], skip: Skip["kind"], withinMs?: number): PatternOf => ({
  id,
  what: id,
  pattern: { steps, withinMs, skip: { kind: skip } as Skip },
  select: (match: object, _: Key, path: Path) => ({ id, match, ignored: path().map(({ ignored }) => ignored) }),
  selectTimeout: (match: object) => ({ id, timedOut: match })
})

const loop = { from: 1, to: Number.POSITIVE_INFINITY }

const PATTERNS: readonly PatternOf[] = [
  pattern("silent", [{ name: "last" }, { name: "any", contiguity: "notFollowedBy" }], "none", 7),
  pattern(
    "pair",
    [
      { name: "a", where: is("a") },
      { name: "b", contiguity: "followedBy", where: is("b") }
    ],
    "pastLast"
  ),
  pattern(
    "many",
    [
      { name: "a", where: is("ab") },
      { name: "more", contiguity: "followedByAny", where: is("bc"), times: loop, inner: "combinations" },
      { name: "end", contiguity: "followedBy", where: is("c") }
    ],
    "toNext",
    12
  ),
  pattern(
    "greedy",
    [
      { name: "a", where: is("a"), times: loop, greedy: true },
      { name: "c", contiguity: "followedBy", where: is("c"), gapMs: 6 }
    ],
    "none",
    20
  )
]

type How = Readonly<Record<"sliced" | "byName" | "counted" | "few", boolean>>

class Chain {
  readonly operator: PatternMatch
  readonly state: PartitionState
  readonly seen: string[] = []
  readonly head

  constructor({ sliced, byName, counted, few }: How) {
    const key = keyed()
    const emit = (record: object, timestamp: number) => {
      const { bytes, start, end, kind } = this.operator.outputKey
      this.seen.push(JSON.stringify([readKey(bytes, start, end, kind), timestamp, record]))
    }
    const output = { next: emit, watermark: () => {} }
    this.operator = new PatternMatch({
      id: "p",
      // Those that most events make nothing of.
      patterns: few ? PATTERNS.slice(1, 2) : PATTERNS,
      what: "t",
      key,
      codec,
      output,
      timeouts: output,
      late: undefined,
      atOnce: sliced ? 0 : undefined,
      maxPartials: 20,
      counted,
      comparator: byName ? (a: Event, b: Event) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0) : undefined
    } as ConstructorParameters<typeof PatternMatch>[0])
    this.head = keyBy((event: Event) => event.key, key, this.operator)
    this.state = new PartitionState([this.operator])
  }

  written(what: "delta" | "snapshot"): Uint8Array {
    const out = new ByteWriter(16)
    this.state[what](out)
    return out.written().slice()
  }
}

type Action = "none" | "delta" | "spill some" | "spill all" | "restore"
type Move = { readonly kind: "event"; readonly event: Event } | { readonly kind: "watermark"; readonly by: number }

const anyMove = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant("event" as const),
      event: fc.record({
        key: fc.constantFrom<Key[]>("k", "l", "m"),
        name: fc.constantFrom("a", "b", "c", "d"),
        at: fc.nat(8),
        id: fc.nat()
      })
    }),
    weight: 3
  },
  { arbitrary: fc.record({ kind: fc.constant("watermark" as const), by: fc.nat(5) }), weight: 1 }
)
const anyAction = fc.constantFrom<Action>("none", "none", "delta", "spill some", "spill all", "restore")

/** By key, in its order. */
const run = (moves: readonly Move[], actions: readonly Action[], how: How) => {
  let chain = new Chain(how)
  let store = new MemorySpill()
  let log: Uint8Array[] = []
  let checkpoint: Entry[] = []
  const seen: string[] = []
  let watermark = 0
  const act = (action: Action): void => {
    seen.push(...chain.seen.splice(0))
    if (action === "none") return void chain.state.drain(1)
    log.push(chain.written("delta"))
    expect(merged([], [chain.written("snapshot")])).toEqual(merged(checkpoint, log))
    if (action.startsWith("spill")) {
      chain.state.age(store)
      chain.state.drain(action === "spill all" ? 1_000 : 2)
    }
    if (action !== "restore") return
    chain = new Chain(how)
    store = new MemorySpill()
    for (const [i, block] of blocksOf(checkpoint, 1 + (turn % 4)).entries()) {
      chain.state.putBack(block)
      if (i % 2 === 1) chain.state.age(store)
      chain.state.drain(1)
    }
    for (const changes of log) {
      chain.state.apply(changes)
      chain.state.age(store)
      chain.state.drain(1)
      chain.state.apply(changes)
    }
    checkpoint = merged(checkpoint, log)
    log = []
  }
  let turn = 0
  const next = () => act(actions[turn++ % actions.length]!)
  const settle = () => {
    while (chain.operator.pending) {
      chain.operator.proceed(1)
      next()
    }
  }
  for (const move of moves) {
    if (move.kind === "event") chain.head.next(move.event, watermark + move.event.at)
    else {
      watermark += move.by
      chain.head.watermark(watermark)
      settle()
    }
    next()
  }
  chain.head.watermark(END_OF_TIME)
  settle()
  next()
  expect(chain.operator.memory.size()).toMatchObject({ keys: 0, spilledKeys: 0, spilledBytes: 0 })
  return Object.groupBy(seen, one => (JSON.parse(one) as [string])[0])
}

test("patterns do what they do without: written, spilled and restored between any two steps", () => {
  let found = 0
  fc.assert(
    fc.property(
      fc.array(anyMove, { minLength: 20, maxLength: 60 }),
      fc.array(anyAction, { minLength: 1, maxLength: 20 }),
      fc.record({ sliced: fc.boolean(), byName: fc.boolean(), counted: fc.boolean(), few: fc.boolean() }),
      (moves, actions, how) => {
        const expected = run(moves, ["none"], { ...how, sliced: false })
        found += Object.values(expected).flat().length
        expect(run(moves, actions, how)).toEqual(expected)
      }
    ),
    { numRuns: 50, seed: 22 }
  )
  expect(found).toBeGreaterThan(300)
})

test("a key that has ended leaves nothing to the one that comes after it", () => {
  const chain = new Chain({ sliced: false, byName: false, counted: false, few: false })
  const begin = (key: string, at: number): void => {
    chain.head.next({ key, name: "d", at, id: 0 }, at)
    chain.head.watermark(at)
  }
  begin("first", 1)
  expect(new TextDecoder().decode(chain.written("delta"))).toContain("first")
  chain.head.watermark(20)
  chain.written("delta")
  const { bytes } = chain.operator.memory.size()
  begin("second", 21)
  chain.head.watermark(40)
  // Nobody has heard of it: it needs no tombstone.
  expect(new TextDecoder().decode(chain.written("delta"))).not.toContain("second")
  expect(chain.operator.memory.size().bytes).toBe(bytes)
})
