/** Nothing is lost and nothing is twice: each event is in a result, late, or in a window that is still open. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import type { Aggregate } from "../../src/aggregate.ts"
import { ByteWriter } from "../../src/bytes.ts"
import { keyed } from "../../src/key.ts"
import { END_OF_TIME } from "../../src/operator.ts"
import { GridWindow } from "../../src/operators/gridWindow.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { aggregated } from "../../src/operators/window/aggregated.ts"
import { assigning, type WindowAssigner } from "../../src/operators/window/assigner.ts"
import { KeyedWindow } from "../../src/operators/window/keyedWindow.ts"
import { eventTime } from "../../src/operators/window/trigger.ts"
import { blockOf } from "../../src/state/block.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { SourceClock } from "../../src/time/sourceClock.ts"
import { merged } from "../harness.ts"

interface Event {
  readonly key: string
  readonly value: number
  readonly ts: number
}
interface Result {
  readonly key: string
  readonly windowStart: number
  readonly windowEnd: number
  readonly n: number
  readonly sum: number
}
interface Spec {
  readonly assigner: WindowAssigner
  readonly allowedLatenessMs: number
}

const aggregates: Readonly<Record<string, Aggregate>> = {
  n: { kind: "count" },
  sum: { kind: "sum", of: (event: Event) => event.value }
}

class Chain {
  readonly results: Result[] = []
  late = 0
  readonly window: GridWindow | KeyedWindow
  private readonly state: PartitionState
  private readonly head
  private readonly spec: Spec

  constructor(spec: Spec) {
    const key = keyed()
    this.spec = spec
    const base = {
      id: "window",
      key,
      aggregates,
      allowedLatenessMs: spec.allowedLatenessMs,
      output: { next: (record: object) => this.results.push(record as Result), watermark: () => {} },
      late: { next: () => this.late++, watermark: () => {} }
    }
    const { assigner } = spec
    this.window =
      assigner.kind === "session" || assigner.kind === "global"
        ? new KeyedWindow({ ...base, assigner, trigger: eventTime, contents: aggregated(base), what: "test" })
        : new GridWindow({ ...base, assigner })
    this.head = keyBy((event: Event) => event.key, key, this.window)
    this.state = new PartitionState([this.window])
  }

  run(events: readonly Event[], boundMs: number): this {
    const clock = new SourceClock("source", boundMs)
    for (const event of events) {
      clock.observe(event.ts)
      this.head.next(event, event.ts)
      this.head.watermark(clock.watermark())
    }
    return this
  }

  end(): this {
    this.head.watermark(END_OF_TIME)
    return this
  }

  /** What its state alone comes to. */
  open(): readonly Result[] {
    const out = new ByteWriter(64)
    this.state.snapshot(out)
    const again = new Chain(this.spec)
    again.state.putBack(blockOf(merged([], [out.written().slice()])))
    return again.end().results
  }
}

const anyKey = fc.constantFrom("a", "b", "c")
const anyEvents = fc.array(
  fc.record({ key: anyKey, value: fc.integer({ min: -9, max: 9 }), ts: fc.integer({ min: -60, max: 120 }) }),
  { maxLength: 60 }
)
const length = fc.integer({ min: 1, max: 20 })
/** Of one window an event, so that what is counted adds up. */
const anyPartition: fc.Arbitrary<WindowAssigner> = fc.oneof(
  fc.record({ kind: fc.constant("tumbling" as const), sizeMs: length, offsetMs: fc.integer({ min: -5, max: 5 }) }),
  fc.record({ kind: fc.constant("session" as const), gapMs: length }),
  fc.constant({ kind: "calendar" as const, unit: "day" as const, timeZone: "Europe/Berlin" })
)
const anyAssigner: fc.Arbitrary<WindowAssigner> = fc.oneof(
  anyPartition,
  fc.record({ kind: fc.constant("sliding" as const), sizeMs: length, slideMs: length, offsetMs: fc.constant(0) }),
  fc
    .tuple(length, fc.integer({ min: 1, max: 5 }))
    .map(([stepMs, steps]) => ({ kind: "cumulative" as const, sizeMs: stepMs * steps, stepMs, offsetMs: 0 }))
)

const name = ({ key, windowStart, windowEnd }: Result): string => `${key} ${windowStart} ${windowEnd}`
/** Of results of one window the last one counts. */
const counted = (results: readonly Result[]): number =>
  Array.from(new Map(results.map(one => [name(one), one.n])).values()).reduce((sum, n) => sum + n, 0)

test("at any moment each event is in a result, late, or in an open window, and in one of them only", () => {
  const bound = fc.nat(30)
  fc.assert(
    fc.property(
      anyPartition,
      fc.constantFrom(0, 0, 5, 40),
      anyEvents,
      bound,
      (assigner, allowedLatenessMs, events, boundMs) => {
        const chain = new Chain({ assigner, allowedLatenessMs }).run(events, boundMs)
        // Sessions that have fired and then grew stand in a later result as a whole.
        const shown = [...chain.results, ...chain.open()]
        const last = shown.filter(
          one =>
            assigner.kind !== "session" ||
            !shown.some(
              other =>
                other.key === one.key &&
                other.windowStart <= one.windowStart &&
                other.windowEnd >= one.windowEnd &&
                name(other) !== name(one)
            )
        )
        expect(counted(last) + chain.late).toBe(events.length)
        if (boundMs >= 180) expect(chain.late).toBe(0)
      }
    ),
    { numRuns: 500 }
  )
})

test("any order within the bound gives the same final results, and nothing late", () => {
  const anyDelays = fc.array(fc.nat(30), { minLength: 60, maxLength: 60 })
  fc.assert(
    fc.property(anyAssigner, anyEvents, anyDelays, anyDelays, (assigner, events, ...delays) => {
      const runs = delays.map(delay => {
        // Each event comes up to the bound later than its time says.
        const order = events.map((event, i) => [event, event.ts + delay[i]!] as const).toSorted(([, a], [, b]) => a - b)
        const chain = new Chain({ assigner, allowedLatenessMs: 0 })
          .run(
            order.map(([event]) => event),
            30
          )
          .end()
        expect(chain.late).toBe(0)
        expect(new Set(chain.results.map(name)).size).toBe(chain.results.length)
        return chain.results.map(one => JSON.stringify(one)).sort()
      })
      expect(runs[0]).toEqual(runs[1]!)
      if (assigner.kind === "session") return
      const assign = assigning(assigner)
      const expected = events.reduce((sum, event) => sum + assign(event.ts, event).length, 0)
      const all = runs[0]!.reduce((sum, one) => sum + (JSON.parse(one) as Result).n, 0)
      expect(all).toBe(expected)
    }),
    { numRuns: 500 }
  )
})
