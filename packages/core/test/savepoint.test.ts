/** State from one version of a pipeline in another, and in another number of partitions. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  type Aggregate,
  compareState,
  type Entry,
  GridWindow,
  keyBy,
  keyed,
  type ListHandle,
  PartitionState,
  Process,
  processDefinition,
  Rebuild,
  SourceClock,
  type StateDefinition,
  type StateSpec,
  type StoredCodec,
  type ValueHandle,
  windowDefinition
} from "../src/index.ts"
import { blockOf } from "../src/state/block.ts"
import { clockDefinition, stepDefinition } from "../src/state/schema.ts"
import { misfits, type Shape } from "../src/state/shape.ts"
import { json } from "./json.ts"
import { entriesOf, placeOf, rebuilt, rescale } from "./rescaling.ts"

interface Event {
  readonly key: string
  readonly ts: number
  readonly value: number
}

const shaped = (shape: Shape, migrations: StoredCodec["migrations"] = []): StoredCodec => ({
  ...json,
  shape,
  migrations
})

const SIZE = 10
const BOUND = 5
/** Timers fire at the end: what they find does not depend on how far the partition has come in between. */
const LATER = 10_000
const amountOf = (event: Event): number => event.value
const AGGREGATES: Readonly<Record<string, Aggregate>> = {
  sum: { kind: "sum", of: amountOf },
  mean: { kind: "average", of: amountOf },
  different: { kind: "distinctCount", of: amountOf },
  all: {
    kind: "custom",
    codec: shaped({ list: "finite" }),
    init: () => [],
    add: (list: number[], event: Event) => [...list, event.value],
    result: (list: number[]) => list
  },
  count: { kind: "count" },
  others: { kind: "distinctCount", of: (event: Event) => `${event.value % 3}` }
}
const STATE: Readonly<Record<string, StateSpec>> = {
  last: { kind: "value", codec: shaped("finite"), ttlMs: undefined },
  recent: { kind: "list", codec: shaped("finite"), ttlMs: 100_000 }
}
type States = { readonly last: ValueHandle<number>; readonly recent: ListHandle<number> }

/** A partition with a clock, a window and a process step, and what came out of them. */
class Partition {
  readonly out: string[] = []
  readonly state: PartitionState
  private readonly clock = new SourceClock("source", BOUND)
  private readonly inputs

  constructor(aggregates = AGGREGATES, states = STATE, lateness = 0) {
    const key = keyed()
    const output = {
      next: (record: object, ts: number) => void this.out.push(JSON.stringify([record, ts])),
      watermark: () => {}
    }
    const window = new GridWindow({
      id: "window",
      assigner: { kind: "tumbling", sizeMs: SIZE, offsetMs: 0 },
      allowedLatenessMs: lateness,
      aggregates,
      key,
      output,
      late: undefined
    })
    const process = new Process({
      id: "process",
      state: states,
      onRecord: (event: Event, context: { state: States; timers: { register: (time: number) => void } }) => {
        context.state.last.set(event.value)
        context.state.recent?.append(event.value)
        context.timers.register(LATER + event.ts)
      },
      onTimer: (time: number, context: { key: string; state: States; emit: (record: object) => void }) =>
        context.emit({ key: context.key, time, last: context.state.last.get(), recent: context.state.recent?.get() }),
      onProcessingTimer: undefined,
      clock: { now: 0 },
      key,
      output
    })
    this.inputs = [keyBy((event: Event) => event.key, key, window), keyBy((event: Event) => event.key, key, process)]
    this.state = new PartitionState([this.clock, window, process])
  }

  run(events: readonly Event[]): this {
    for (const event of events) {
      this.clock.observe(event.ts)
      for (const input of this.inputs) input.next(event, event.ts)
      for (const input of this.inputs) input.watermark(this.clock.watermark())
    }
    return this
  }

  /** Emits everything that is open. */
  end(): this {
    for (const input of this.inputs) input.watermark(Number.POSITIVE_INFINITY)
    return this
  }

  entries(): Entry[] {
    return entriesOf(this.state)
  }

  restore(entries: Iterable<Entry>): this {
    this.state.putBack(blockOf(entries))
    for (const input of this.inputs) input.watermark(this.clock.watermark())
    return this
  }
}

const definitionsOf = (aggregates = AGGREGATES, states = STATE): ReadonlyMap<string, StateDefinition> =>
  new Map(
    [
      clockDefinition("source"),
      windowDefinition({ id: "window", assigner: { kind: "tumbling", sizeMs: SIZE, offsetMs: 0 }, aggregates }),
      processDefinition("process", states)
    ].map(one => [one.id, one])
  )

const rescaled = (before: readonly Entry[][], after: number): Entry[][] => rescale(before, after, definitionsOf())

const inPartitions = (events: readonly Event[], partitions: number): Event[][] =>
  Array.from({ length: partitions }, (_, one) => events.filter(event => placeOf(event.key, partitions) === one))
const hex = (entries: readonly Entry[]) => entries.map(([key, value]) => [key.toHex(), value.toHex()])

const anyKey = fc.constantFrom("a", "b", "c", "d", "e", "ä💶", "", "key-7", "key-8", "key-9")
/** Event times within the bound: nothing is late, however partitions are cut. */
const anyEvents = fc
  .array(
    fc.record({ key: anyKey, jitter: fc.integer({ min: 0, max: BOUND }), value: fc.integer({ min: 0, max: 9 }) }),
    {
      maxLength: 60
    }
  )
  .map(events => events.map(({ key, jitter, value }, i): Event => ({ key, ts: i * 2 + jitter, value })))

describe("another number of partitions", () => {
  const cases = [
    [2, 4],
    [4, 2],
    [3, 2],
    [1, 3],
    [6, 4]
  ] as const

  test.each(cases)("%d → %d gives the results of a run that had them from the start", (before, after) => {
    fc.assert(
      fc.property(anyEvents, fc.nat(60), (events, cut) => {
        const earlier = inPartitions(events.slice(0, cut), before).map(part => new Partition().run(part))
        const states = rescaled(
          earlier.map(one => one.entries()),
          after
        )
        const later = inPartitions(events.slice(cut), after).map((part, i) =>
          new Partition().restore(states[i]!).run(part).end()
        )
        const whole = inPartitions(events, 1).map(part => new Partition().run(part).end())
        const outputs = (partitions: readonly Partition[]) => partitions.flatMap(one => one.out).sort()
        expect(outputs([...earlier, ...later])).toEqual(outputs(whole))
      }),
      { numRuns: 150 }
    )
  })

  test("split by key and merged again is what it was, but for event time, which is the least", () => {
    fc.assert(
      fc.property(anyEvents, events => {
        const before = inPartitions(events, 2).map(part => new Partition().run(part).entries())
        expect(rescaled(before, 2).map(hex)).toEqual(before.map(hex))
        const [keys, again] = [before, rescaled(rescaled(before, 4), 2)].map(all =>
          all.map(entries => entries.filter(([key]) => key[12]! > 1).map(([key]) => key.toHex()))
        )
        expect(again).toEqual(keys!)
      }),
      { numRuns: 100 }
    )
  })

  const keys = ["a", "b", "c", "d", "e", "key-7", "key-8", "key-9"]
  const inPartition = (partition: number) => keys.filter(key => placeOf(key, 2) === partition)

  test("event time is that of the slowest: what was on time there is not late beside a faster one", () => {
    const [fast, slow] = [inPartition(0)[0]!, inPartition(1)[0]!]
    const ahead = new Partition().run([{ key: fast, ts: 100, value: 1 }])
    const behind = new Partition().run([{ key: slow, ts: 1, value: 1 }])
    const [merged] = rescaled([ahead.entries(), behind.entries()], 1)
    const { out } = new Partition()
      .restore(merged!)
      .run([{ key: slow, ts: 3, value: 2 }])
      .end()
    const result = { key: slow, windowStart: 0, windowEnd: 10, sum: 3, mean: 1.5, different: 2, all: [1, 2], count: 2 }
    expect(out.some(one => one.includes(JSON.stringify(result).slice(0, -1)))).toBe(true)
  })

  test("no two keys of a merged partition came at one time", () => {
    const states = [0, 1].map(partition =>
      new Partition().run(inPartition(partition).map(key => ({ key, ts: 1, value: 1 }))).entries()
    )
    const [merged] = rescaled(states, 1)
    const arrivals = merged!.filter(([key, value]) => key[12] === 2 && value.length > 8).map(([, value]) => value[0])
    expect(arrivals).toHaveLength(keys.length)
    expect(new Set(arrivals).size).toBe(keys.length)
  })

  test("a key that stands where its records are not is refused", () => {
    const [stray] = inPartitions([{ key: "a", ts: 1, value: 1 }], 1).map(part => new Partition().run(part).entries())
    const other = placeOf("a", 2) === 0 ? [[], stray!] : [stray!, []]
    expect(() => rescaled(other, 4)).toThrow("state of the key a in partition")
  })
})

describe("another version", () => {
  const event = (ts: number, value = ts): Event => ({ key: "a", ts, value })

  test("aggregates that are gone or stand elsewhere leave the others as they were", () => {
    const fewer = { others: AGGREGATES.others!, all: AGGREGATES.all!, mean: AGGREGATES.mean! }
    const before = new Partition().run([event(1), event(2), event(4)])
    const after = new Partition(fewer).restore(rebuilt([before.entries()], new Rebuild(definitionsOf(fewer), 0)))
    after.run([event(5)]).end()
    const result = { key: "a", windowStart: 0, windowEnd: 10, others: 2, all: [1, 2, 4, 5], mean: 3 }
    expect(after.out).toContain(JSON.stringify([result, 9]))
  })

  test("states are found by their names, whatever is beside them, and migrated", () => {
    const states: Record<string, StateSpec> = {
      another: { kind: "value", codec: shaped("string"), ttlMs: undefined },
      last: {
        kind: "value",
        codec: shaped("string", [{ from: shaped("finite"), migrate: (cents: number) => `${cents} cents` }]),
        ttlMs: undefined
      }
    }
    const before = new Partition().run([event(1), event(3)])
    const after = new Partition(AGGREGATES, states)
    after.restore(rebuilt([before.entries()], new Rebuild(definitionsOf(AGGREGATES, states), 0))).end()
    expect(after.out).toContain(JSON.stringify([{ key: "a", time: LATER + 3, last: "3 cents" }, LATER + 3]))
    const [written] = [processDefinition("process", STATE)]
    expect(compareState(written, processDefinition("process", states))).toEqual({
      refused: [],
      migrated: ["state last"],
      dropped: ["state recent"],
      added: ["state another"]
    })
  })

  test("a migration that throws names state, operator and key", () => {
    const fails = () => {
      throw new Error("no rate")
    }
    const states = {
      ...STATE,
      last: { ...STATE.last!, codec: shaped("string", [{ from: shaped("finite"), migrate: fails }]) }
    }
    const before = new Partition().run([event(1)]).entries()
    expect(() => rebuilt([before], new Rebuild(definitionsOf(AGGREGATES, states as typeof STATE), 0))).toThrow(
      'State last of "process" of the key a cannot be migrated: no rate'
    )
  })

  const refusals: [string, StateDefinition, string, string, string][] = [
    [
      "a window of another size",
      windowDefinition({
        id: "window",
        assigner: { kind: "tumbling", sizeMs: 20, offsetMs: 0 },
        aggregates: AGGREGATES
      }),
      "the window's size",
      "10 ms",
      "20 ms"
    ],
    [
      "an aggregate more",
      windowDefinition({
        id: "window",
        assigner: { kind: "tumbling", sizeMs: SIZE, offsetMs: 0 },
        aggregates: { ...AGGREGATES, least: { kind: "min", of: amountOf } }
      }),
      "aggregate least",
      "missing",
      "least: min"
    ],
    [
      "another kind of aggregate",
      windowDefinition({
        id: "window",
        assigner: { kind: "tumbling", sizeMs: SIZE, offsetMs: 0 },
        aggregates: { ...AGGREGATES, count: { kind: "max", of: amountOf } }
      }),
      "aggregate count",
      "count: count",
      "count: max"
    ],
    [
      "another type",
      processDefinition("process", { ...STATE, last: { ...STATE.last!, codec: shaped("string") } as StateSpec }),
      "state last",
      "finite",
      "string"
    ],
    [
      "another life",
      processDefinition("process", { ...STATE, last: { ...STATE.last!, ttlMs: 5 } as StateSpec }),
      "state last",
      "last: value of finite",
      "last: value of finite with a ttl"
    ]
  ]
  test.each(refusals)("%s is refused: was, is, what to do", (_, own, what, was, is) => {
    const { refused } = compareState(definitionsOf().get(own.id)!, own)
    expect(refused).toMatchObject([{ operator: own.id, what, was, is }])
    expect(refused[0]!.todo).not.toBe("")
  })

  test("what a step of Headrace's own keeps takes no migration, and is not asked for one", () => {
    const joinOf = (shape: Shape) =>
      stepDefinition("join", "inner join", [{ name: "elements", kind: "list", ttl: false, shape }])
    const now = joinOf({ record: { left: { shape: "string" } } })
    const todoFrom = (shape: Shape) => compareState(joinOf(shape), now).refused.map(({ todo }) => todo)
    expect(todoFrom("any")).toEqual([expect.stringContaining("earlier version of Headrace")])
    for (const shape of [{ record: { left: { shape: "integer" } } }, { record: {} }] as const)
      expect(todoFrom(shape)).toEqual([expect.stringMatching(/give the step another id, (?!.*migration)/)])
  })
})

describe("shapes by Avro's rules", () => {
  const record = (fields: Record<string, Shape>, optional: readonly string[] = []): Shape => ({
    record: Object.fromEntries(
      Object.entries(fields).map(([name, shape]) => [
        name,
        optional.includes(name) ? { shape, optional: true } : { shape }
      ])
    )
  })
  const fits: [string, Shape, Shape][] = [
    ["a field that is gone", record({ a: "string", b: "finite" }), record({ a: "string" })],
    ["a field with a default", record({ a: "string" }), record({ a: "string", b: "finite" }, ["b"])],
    ["a wider number", { list: "integer" }, { list: "number" }],
    ["one of a union", "string", { union: ["string", "null"] }],
    ["a literal", { union: [{ literal: "a" }, { literal: "b" }] }, "string"],
    ["one literal more", { literal: "a" }, { union: [{ literal: "a" }, { literal: "b" }] }],
    ["records as a map", record({ a: "finite" }), { map: "number" }]
  ]
  test.each(fits)("%s can be read", (_, was, is) => expect(misfits(was, is)).toEqual([]))

  const not: [string, Shape, Shape, string[]][] = [
    ["a field without a default", record({}), record({ a: "string" }), [".a"]],
    ["a field that may be missing", record({ a: "string" }, ["a"]), record({ a: "string" }), [".a"]],
    ["a narrower number", "number", "integer", [""]],
    ["a union that lacks one", { union: ["string", "null"] }, "string", [""]],
    ["a symbol that is gone", { literal: "c" }, { union: [{ literal: "a" }, { literal: "b" }] }, [""]],
    [
      "several, deep inside",
      record({ a: { list: record({ b: "string", c: "string" }) } }),
      record({ a: { list: record({ b: "finite", c: "null" }) } }),
      [".a[].b", ".a[].c"]
    ]
  ]
  test.each(not)("%s cannot", (_, was, is, paths) => expect(misfits(was, is).map(one => one.path)).toEqual(paths))
})
