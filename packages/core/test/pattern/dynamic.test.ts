import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { ByteWriter } from "../../src/bytes.ts"
import { keyed } from "../../src/key.ts"
import { END_OF_TIME } from "../../src/operator.ts"
import { type Applied, DynamicPatterns } from "../../src/operators/dynamicPatterns.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import type { Heard, PatternChange } from "../../src/pattern/agreement.ts"
import type { PatternOf } from "../../src/pattern/set.ts"
import type { Step } from "../../src/pattern/spec.ts"
import { blockOf } from "../../src/state/block.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { merged } from "../harness.ts"
import { json as codec } from "../json.ts"

interface Event {
  readonly key: string
  readonly at: number
  readonly value: number
}
interface Found {
  readonly pattern: string
  readonly version: number
  readonly key: string
  readonly at: readonly number[]
}

const atLeast = (least: number) => ({ kind: "test", test: (event: Event) => event.value >= least }) as const

/** `5`: an event of at least 5; `5,7`: and later one of at least 7. `5!`: only some versions of a pipeline can read that. */
const read = ({ id, version, spec }: PatternChange): PatternOf => {
  const steps = spec.split(",").map(
    (least, i): Step => ({
      name: `s${i}`,
      ...(i === 0 ? {} : { contiguity: "followedBy" }),
      where: atLeast(Number(least.replace("!", "")))
    })
  )
  return {
    id,
    what: `${version} ${spec}`,
    pattern: { steps, withinMs: 100, skip: { kind: "none" } },
    select: (match: Readonly<Record<string, readonly Event[]>>, key: string): Found => ({
      pattern: id,
      version,
      key,
      at: Object.values(match).flatMap(events => events.map(({ at }) => at))
    })
  }
}

/** One partition of the stage; what it tells goes to `told`. */
class Partition {
  readonly found: Found[] = []
  /** What became of changes. */
  readonly applied: Applied[] = []
  /** Whether this version of the pipeline reads specs with a `!`. */
  readsAll = true
  private readonly place: { readonly partition: number; readonly partitions: number }
  private readonly told: (heard: Heard) => void
  private operator!: DynamicPatterns
  private state!: PartitionState
  private head!: ReturnType<typeof keyBy>

  constructor(partition: number, partitions: number, told: (heard: Heard) => void) {
    this.place = { partition, partitions }
    this.told = told
    this.build()
  }

  private build(): void {
    const key = keyed()
    this.operator = new DynamicPatterns({
      id: "d",
      what: "t",
      key,
      codec,
      read: change =>
        this.readsAll || !change.spec.endsWith("!") ? read(change) : { refused: `no "!", ${change.spec}` },
      place: this.place,
      late: undefined,
      atOnce: 0,
      output: { next: record => void this.found.push(record as Found), watermark: () => {} },
      applied: { next: record => void this.applied.push(record as Applied), watermark: () => {} },
      tell: { next: record => this.told(record as Heard), watermark: () => {} }
    })
    this.head = keyBy((event: Event) => event.key, key, this.operator)
    this.state = new PartitionState([this.operator])
  }

  take(item: Item): void {
    if ("value" in item) this.head.next(item, item.at)
    else if ("watermark" in item && "change" in item) this.operator.heard.next(item, 0)
    else if ("watermark" in item) this.head.watermark(item.watermark)
    else this.operator.changes.next(item, 0)
  }

  proceed(limit = Number.POSITIVE_INFINITY): void {
    if (this.operator.pending) this.operator.proceed(limit)
  }

  restart(): void {
    const out = new ByteWriter(16)
    this.state.snapshot(out)
    this.build()
    this.state.putBack(blockOf(merged([], [out.written().slice()])))
  }

  get counts() {
    return this.operator.totals
  }
}

type Item = Event | { readonly watermark: number } | PatternChange | Heard

const change = (id: string, turn: number, more: Partial<PatternChange> = {}): PatternChange => ({
  id,
  turn,
  version: turn,
  status: "active",
  spec: "5",
  request: `r${turn}`,
  said: 0,
  ...more
})

const alone = () => {
  const told: Heard[] = []
  const partition: Partition = new Partition(0, 1, heard => told.push(heard))
  const take = (...items: readonly Item[]) => {
    for (const item of items) partition.take(item)
    for (const heard of told.splice(0)) partition.take(heard)
    partition.proceed()
    return partition.found.splice(0).map(({ pattern, version, at }) => [pattern, version, ...at])
  }
  return { partition, take }
}
const event = (at: number, value: number, key = "k"): Event => ({ key, at, value })

describe("a pattern that comes, changes, rests and goes", () => {
  test("is looked for behind the time at which it came", () => {
    const { take } = alone()
    take(event(1, 9), { watermark: 1 }, change("p", 1))
    expect(take(event(2, 9), event(3, 4), { watermark: 3 })).toEqual([["p", 1, 2]])
  })

  test("goes on where it is the same, and begins anew, and is counted, where it is not", () => {
    const { take, partition } = alone()
    take(change("p", 1, { spec: "5,7" }), change("q", 1, { spec: "5,7" }))
    take(event(1, 5), { watermark: 1 }, change("p", 2, { spec: "5,8" }), change("q", 2, { version: 1, spec: "5,7" }))
    expect(take(event(2, 9), { watermark: 2 })).toEqual([["q", 1, 1, 2]])
    expect(partition.counts.dropped).toBe(1)
    expect(take(event(3, 9), { watermark: 3 })).toEqual([
      ["p", 2, 2, 3],
      ["q", 1, 2, 3]
    ])
  })

  test("looks at nothing while it is paused, and keeps what it has under way until its time is over", () => {
    const { take } = alone()
    take(change("p", 1, { spec: "5,7" }), event(1, 5), { watermark: 1 })
    take(change("p", 2, { version: 1, spec: "5,7", status: "paused" }))
    expect(take(event(2, 9), { watermark: 2 })).toEqual([])
    take(change("p", 3, { version: 1, spec: "5,7" }))
    expect(take(event(3, 9), { watermark: 3 })).toEqual([["p", 1, 1, 3]])
    take(change("p", 4, { version: 1, spec: "5,7", status: "paused" }))
    take(event(200, 1), { watermark: 200 }, change("p", 5, { version: 1, spec: "5,7" }))
    expect(take(event(201, 9), { watermark: 201 })).toEqual([])
  })

  test("leaves nothing when it goes, and comes back as another", () => {
    const { take, partition } = alone()
    take(change("p", 1, { spec: "5,7" }), event(1, 5), { watermark: 1 })
    take(change("p", 2, { version: 1, spec: "", status: "removed" }))
    expect(take(event(2, 9), { watermark: 2 })).toEqual([])
    expect(partition.counts.dropped).toBe(1)
    take(change("p", 3, { version: 2, spec: "5,7" }))
    partition.restart()
    expect(take(event(3, 9), { watermark: 3 })).toEqual([])
    expect(take(event(4, 9), { watermark: END_OF_TIME })).toEqual([["p", 2, 3, 4]])
  })
})

describe("a pattern that another version of the pipeline cannot read", () => {
  const said = ({ applied }: Partition) =>
    applied.splice(0).map(({ change, from, refused }) => [change.id, change.turn, from, refused])

  test("is counted, and said once; what it had under way is dropped when its key is looked at", () => {
    const { partition, take } = alone()
    take(change("p", 1, { spec: "5,7!" }), change("q", 1, { spec: "5,7" }), event(1, 5), { watermark: 1 })
    said(partition)
    partition.readsAll = false
    partition.restart()
    partition.proceed()
    expect(said(partition)).toEqual([["p", 1, null, 'no "!", 5,7!']])
    expect(partition.counts).toMatchObject({ refused: 1, dropped: 0 })
    expect(take(event(2, 9), event(3, 9), { watermark: 3 })).toEqual([
      ["q", 1, 1, 2],
      ["q", 1, 2, 3]
    ])
    expect(said(partition)).toEqual([])
    expect(partition.counts).toMatchObject({ refused: 1, dropped: 1 })
    partition.restart()
    take(event(4, 9), { watermark: 4 })
    expect(said(partition)).toEqual([])
    // Each process counts it, as long as it is so.
    expect(partition.counts.refused).toBe(1)
    expect(take(change("p", 2, { spec: "8" }), event(5, 9), { watermark: 5 })).toContainEqual(["p", 2, 5])
    expect(said(partition)).toEqual([["p", 2, 4, undefined]])
  })

  test("is looked for again by one that reads it, with nothing under way, and that is said as well", () => {
    const { partition, take } = alone()
    take(change("p", 1, { spec: "5,7!" }), event(1, 5), { watermark: 1 })
    partition.readsAll = false
    partition.restart()
    take(event(2, 1), { watermark: 2 })
    said(partition)
    partition.readsAll = true
    partition.restart()
    expect(take(event(3, 6), event(4, 9), { watermark: 4 })).toEqual([["p", 1, 3, 4]])
    expect(said(partition)).toEqual([["p", 1, null, undefined]])
  })

  test("was accepted and had not taken effect yet: it does not, and that is what is said", () => {
    const { partition, take } = alone()
    take(event(1, 9), { watermark: 1 })
    partition.take(change("p", 1, { spec: "5!" }))
    partition.readsAll = false
    partition.restart()
    partition.take({ change: "p/1", partition: 0, watermark: 1 })
    expect(take(event(2, 9), { watermark: 2 })).toEqual([])
    expect(said(partition)).toEqual([["p", 1, null, 'no "!", 5!']])
    partition.restart()
    partition.proceed()
    expect(said(partition)).toEqual([])
  })

  test("is said by one partition of several", () => {
    const all = [0, 1].map(i => {
      const partition = new Partition(i, 2, () => {})
      partition.take(change("p", 1, { spec: "5!" }))
      for (const heard of [0, 1]) partition.take({ change: "p/1", partition: heard, watermark: 0 })
      partition.take({ watermark: 1 })
      partition.proceed()
      said(partition)
      partition.readsAll = false
      partition.restart()
      partition.proceed()
      return partition
    })
    expect(all.map(said)).toEqual([[["p", 1, null, 'no "!", 5!']], []])
    expect(all.map(({ counts }) => counts.refused)).toEqual([1, 0])
  })
})

/** What a stage of several partitions is put through. */
const script = fc.record({
  partitions: fc.integer({ min: 1, max: 3 }),
  steps: fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          event: fc.record({ at: fc.nat(3), value: fc.integer({ min: 1, max: 9 }) }),
          of: fc.nat(5)
        })
      },
      { weight: 4, arbitrary: fc.record({ advance: fc.nat(6), of: fc.nat(5) }) },
      {
        weight: 3,
        arbitrary: fc.record({
          id: fc.constantFrom("p", "q"),
          status: fc.constantFrom("active" as const, "active" as const, "paused" as const, "removed" as const),
          least: fc.integer({ min: 2, max: 8 })
        })
      },
      { weight: 12, arbitrary: fc.record({ read: fc.nat(5), count: fc.integer({ min: 1, max: 6 }) }) },
      { weight: 3, arbitrary: fc.record({ proceed: fc.nat(5), limit: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 2, arbitrary: fc.record({ restart: fc.nat(5) }) }
    ),
    { minLength: 20, maxLength: 120 }
  )
})

test("all partitions take up each change at one event time, and none looks at an event by another set", () => {
  fc.assert(
    fc.property(script, ({ partitions: count, steps }) => {
      const logs: Item[][] = Array.from({ length: count }, () => [])
      const words = new Map<string, number[]>()
      const partitions = logs.map(
        (_, i) =>
          new Partition(i, count, heard => {
            words.set(heard.change, [...(words.get(heard.change) ?? []), heard.watermark])
            for (const log of logs) log.push(heard)
          })
      )
      const events: (Event & { readonly partition: number })[] = []
      const changes: PatternChange[] = []
      const turns = new Map<string, number>()
      const times = logs.map(() => 0)
      const readAll = (i: number, limit: number) => {
        for (const item of logs[i]!.splice(0, limit)) partitions[i]!.take(item)
      }
      for (const step of steps) {
        if ("event" in step) {
          const partition = step.of % count
          const one = { key: `k${partition}`, at: times[partition]! + 1 + step.event.at, value: step.event.value }
          events.push({ ...one, partition })
          logs[partition]!.push(one)
        } else if ("advance" in step) {
          const partition = step.of % count
          times[partition]! += step.advance
          logs[partition]!.push({ watermark: times[partition]! })
        } else if ("id" in step) {
          const turn = (turns.get(step.id) ?? 0) + 1
          turns.set(step.id, turn)
          const one = change(step.id, turn, {
            status: step.status,
            spec: step.status === "removed" ? "" : `${step.least}`
          })
          changes.push(one)
          for (const log of logs) log.push(one)
        } else if ("read" in step) readAll(step.read % count, step.count)
        else if ("proceed" in step) partitions[step.proceed % count]!.proceed(step.limit)
        else partitions[step.restart % count]!.restart()
      }
      for (let i = 0; i < count; i++) logs[i]!.push({ watermark: END_OF_TIME })
      while (logs.some(log => log.length > 0)) for (let i = 0; i < count; i++) readAll(i, Number.POSITIVE_INFINITY)
      for (const partition of partitions) partition.proceed()

      const from = (one: PatternChange) => Math.max(...words.get(`${one.id}/${one.turn}`)!)
      const expected = events.flatMap(({ partition, key, at, value }) =>
        ["p", "q"].flatMap(id => {
          const now = changes.filter(one => one.id === id && from(one) < at).at(-1)
          const fits = now?.status === "active" && value >= Number(now.spec)
          return fits ? [{ partition, pattern: id, version: now.version, key, at: [at] }] : []
        })
      )
      const found = partitions.flatMap(({ found: all }, partition) => all.map(one => ({ partition, ...one })))
      const sorted = (all: readonly object[]) => all.map(one => JSON.stringify(one)).toSorted()
      for (const one of changes) expect(words.get(`${one.id}/${one.turn}`)).toHaveLength(count)
      expect(sorted(found)).toEqual(sorted(expected))
    }),
    { numRuns: 400 }
  )
})
