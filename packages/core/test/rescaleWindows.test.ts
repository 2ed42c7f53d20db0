/** Windows that overlap, or wait for late records, in another number of partitions: each key goes on from where its own had come to. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  type Aggregate,
  END_OF_TIME,
  type Entry,
  type GridAssigner,
  GridWindow,
  keyBy,
  keyed,
  PartitionState,
  SourceClock,
  windowDefinition
} from "../src/index.ts"
import { blockOf } from "../src/state/block.ts"
import { clockDefinition } from "../src/state/schema.ts"
import { entriesOf, placeOf, rescale } from "./rescaling.ts"

interface Event {
  readonly key: string
  readonly ts: number
}
interface Result {
  readonly key: string
  readonly windowStart: number
  readonly windowEnd: number
  readonly n: number
}

const BOUND = 5
const AGGREGATES: Readonly<Record<string, Aggregate>> = {
  n: { kind: "count" },
  times: { kind: "distinctCount", of: (event: Event) => event.ts }
}
const ASSIGNERS: Readonly<Record<string, GridAssigner>> = {
  tumbling: { kind: "tumbling", sizeMs: 10, offsetMs: 0 },
  sliding: { kind: "sliding", sizeMs: 40, slideMs: 10, offsetMs: 0 },
  uneven: { kind: "sliding", sizeMs: 25, slideMs: 10, offsetMs: 3 },
  cumulative: { kind: "cumulative", sizeMs: 40, stepMs: 10, offsetMs: 0 }
}

interface Spec {
  readonly assigner: GridAssigner
  readonly lateness: number
  /** Results for each event: windows stay in the middle of their firing. Default: all. */
  readonly atOnce?: number
}

class Partition {
  readonly out: Result[] = []
  readonly window: GridWindow
  private readonly state: PartitionState
  private readonly clock = new SourceClock("source", BOUND)
  private readonly input
  private readonly spec: Spec

  constructor(spec: Spec) {
    const key = keyed()
    this.spec = spec
    this.window = new GridWindow({
      id: "window",
      assigner: spec.assigner,
      allowedLatenessMs: spec.lateness,
      aggregates: AGGREGATES,
      key,
      output: { next: result => void this.out.push({ ...(result as Result) }), watermark: () => {} },
      late: undefined,
      ...(spec.atOnce === undefined ? {} : { atOnce: spec.atOnce })
    })
    this.input = keyBy((event: Event) => event.key, key, this.window)
    this.state = new PartitionState([this.clock, this.window])
  }

  run(events: readonly Event[]): this {
    for (const event of events) {
      this.clock.observe(event.ts)
      this.input.next(event, event.ts)
      this.input.watermark(this.clock.watermark())
    }
    return this
  }

  end(): this {
    this.input.watermark(END_OF_TIME)
    while (this.window.pending) this.window.proceed(1)
    return this
  }

  entries(): Entry[] {
    return entriesOf(this.state)
  }

  restore(entries: Iterable<Entry>): this {
    this.state.putBack(blockOf(entries))
    this.input.watermark(this.clock.watermark())
    return this
  }

  /** As after a crash. */
  again(): Partition {
    return new Partition(this.spec).restore(this.entries())
  }
}

const rescaled = (assigner: GridAssigner, before: readonly Partition[], after: number): Entry[][] => {
  const window = windowDefinition({ id: "window", assigner, aggregates: withSets(assigner) })
  const definitions = new Map([clockDefinition("source"), window].map(one => [one.id, one]))
  return rescale(
    before.map(one => one.entries()),
    after,
    definitions
  )
}

/** What the operator says of itself: distinct counts of several panes keep their set as a value. */
const withSets = (assigner: GridAssigner) => {
  const { schema, codecs } = new Partition({ assigner, lateness: 0 }).window.definition
  if (schema.kind !== "window") throw new Error("not a window")
  return Object.fromEntries(
    schema.aggregates.map(({ name, kind }) => [
      name,
      kind === "custom" ? ({ kind, codec: codecs.get(name)! } as unknown as Aggregate) : AGGREGATES[name]!
    ])
  )
}

const inPartitions = (events: readonly Event[], partitions: number): Event[][] =>
  Array.from({ length: partitions }, (_, one) => events.filter(event => placeOf(event.key, partitions) === one))
/** Three partitions, from `cut` on two, and from `next` events later five, up to the end of event time. */
const thereAndOn = (spec: Spec, events: readonly Event[], cut: number, next: number): readonly Partition[] => {
  const run = (before: readonly Partition[], partitions: number, part: readonly Event[]) => {
    const states = rescaled(spec.assigner, before, partitions)
    return inPartitions(part, partitions).map((own, i) => new Partition(spec).restore(states[i]!).run(own))
  }
  const first = inPartitions(events.slice(0, cut), 3).map(part => new Partition(spec).run(part))
  const second = run(first, 2, events.slice(cut, cut + next))
  const third = run(second, 5, events.slice(cut + next)).map(partition => partition.end())
  return [...first, ...second, ...third]
}
const sorted = (partitions: readonly Partition[]) =>
  partitions.flatMap(one => one.out.map(result => JSON.stringify(result))).toSorted()

const KEYS = ["a", "b", "c", "d", "e", "key-7", "key-8", "key-9"]
/** Within the bound over all, in bursts of one key: some partitions are far behind others. */
const anyEvents = fc
  .array(fc.record({ key: fc.constantFrom(...KEYS), times: fc.integer({ min: 1, max: 6 }), jitter: fc.nat(BOUND) }), {
    maxLength: 30
  })
  .map(bursts => bursts.flatMap(({ key, times, jitter }) => new Array(times).fill({ key, jitter })))
  .map(all => all.map(({ key, jitter }, i): Event => ({ key, ts: i * 2 + jitter })))

const CASES = [
  [2, 4],
  [4, 2],
  [3, 2],
  [1, 3],
  [6, 4]
] as const

for (const [name, assigner] of Object.entries(ASSIGNERS))
  for (const lateness of [0, 30])
    describe(`${name} windows, late by up to ${lateness}`, () => {
      const spec = { assigner, lateness }
      test.each(CASES)("%d → %d, and restarted: what a run gives that had them from the start", (before, after) => {
        fc.assert(
          fc.property(anyEvents, fc.nat(120), fc.nat(120), (events, cut, restart) => {
            const earlier = inPartitions(events.slice(0, cut), before).map(part => new Partition(spec).run(part))
            const states = rescaled(assigner, earlier, after)
            const later = inPartitions(events.slice(cut), after).flatMap((part, i) => {
              const first = new Partition(spec).restore(states[i]!).run(part.slice(0, restart))
              return [first, first.again().run(part.slice(restart)).end()]
            })
            const whole = new Partition(spec).run(events).end()
            expect(sorted([...earlier, ...later])).toEqual(sorted([whole]))
          }),
          { numRuns: 25 }
        )
      })

      test("there and back again, and on", () => {
        fc.assert(
          fc.property(anyEvents, fc.nat(60), fc.nat(120), (events, cut, next) => {
            expect(sorted(thereAndOn(spec, events, cut, next))).toEqual(sorted([new Partition(spec).run(events).end()]))
          }),
          { numRuns: 15 }
        )
      })
    })

/** Later than the bound, though not later than windows wait for: they fire in between, and again. */
const disordered = fc
  .array(fc.record({ key: fc.constantFrom(...KEYS), times: fc.integer({ min: 1, max: 4 }), delay: fc.nat(25) }), {
    maxLength: 40
  })
  .map(bursts => bursts.flatMap(({ key, times, delay }) => new Array(times).fill({ key, delay })))
  .map(all => all.map(({ key, delay }, i): Event => ({ key, ts: 2 * i - delay })))

/** What each key and window said, in its order. */
const said = (results: readonly Result[]): ReadonlyMap<string, readonly number[]> => {
  const all = new Map<string, number[]>()
  for (const { key, windowStart, windowEnd, n } of results) {
    const window = `${key} [${windowStart}, ${windowEnd})`
    all.set(window, [...(all.get(window) ?? []), n])
  }
  return all
}
const lasts = (results: readonly Result[]) => [...said(results)].map(([window, all]) => [window, all.at(-1)]).toSorted()

describe("in the middle of a firing", () => {
  const cases = [...CASES, [1, 4], [2, 3]] as const
  for (const [name, assigner] of Object.entries(ASSIGNERS))
    test.each(cases)(`${name} windows, %d → %d: each result once`, (before, after) => {
      fc.assert(
        fc.property(anyEvents, fc.nat(120), fc.nat(2), (events, cut, atOnce) => {
          const spec = { assigner, lateness: 0, atOnce }
          const earlier = inPartitions(events.slice(0, cut), before).map(part => new Partition(spec).run(part))
          const states = rescaled(assigner, earlier, after)
          const later = inPartitions(events.slice(cut), after).flatMap((part, i) => {
            const first = new Partition(spec).restore(states[i]!).run(part)
            return [first, first.again().end()]
          })
          const whole = new Partition({ assigner, lateness: 0 }).run(events).end()
          expect(sorted([...earlier, ...later])).toEqual(sorted([whole]))
        }),
        { numRuns: 50 }
      )
    })

  for (const [name, assigner] of Object.entries(ASSIGNERS))
    test(`${name} windows with late records, 3 → 2 → 5: each says more than before, and in the end all`, () => {
      fc.assert(
        fc.property(disordered, fc.nat(60), fc.nat(60), fc.nat(2), (events, cut, next, atOnce) => {
          const spec = { assigner, lateness: 30, atOnce }
          const out = thereAndOn(spec, events, cut, next).flatMap(partition => partition.out)
          for (const [window, all] of said(out))
            expect([window, all]).toEqual([window, [...new Set(all)].toSorted((a, b) => a - b)])
          expect(lasts(out)).toEqual(lasts(new Partition(spec).run(events).end().out))
        }),
        { numRuns: 60 }
      )
    })
})

const inPartition = (partition: number) => KEYS.filter(key => placeOf(key, 2) === partition)

test("of a key that was ahead a late record fires again at once, with all that there was; one that is too late is late", () => {
  const spec = { assigner: ASSIGNERS.tumbling!, lateness: 20 }
  const [fast, slow] = [inPartition(0)[0]!, inPartition(1)[0]!]
  const ahead = new Partition(spec).run([1, 2, 25, 46].map(ts => ({ key: fast, ts })))
  const behind = new Partition(spec).run([{ key: slow, ts: 1 }])
  const [merged] = rescaled(spec.assigner, [ahead, behind], 1)
  const after = new Partition(spec).restore(merged!)
  expect(after.out).toEqual([])
  after.run([{ key: fast, ts: 3 }])
  expect(after.window.late.count).toBe(1)
  // For the other key the same time is on time.
  after.run([{ key: slow, ts: 3 }])
  expect(after.out).toEqual([])
  after.run([{ key: fast, ts: 26 }]).end()
  expect(after.out).toMatchObject([
    { key: fast, windowStart: 20, n: 2 },
    { key: slow, windowStart: 0, n: 2 },
    { key: fast, windowStart: 40, n: 1 }
  ])
})
