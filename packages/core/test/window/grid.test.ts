import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Aggregate } from "../../src/aggregate.ts"
import { ByteWriter } from "../../src/bytes.ts"
import type { ValueCodec } from "../../src/codec.ts"
import { keyed } from "../../src/key.ts"
import { END_OF_TIME, NO_WATERMARK } from "../../src/operator.ts"
import { GridWindow } from "../../src/operators/gridWindow.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { aggregated } from "../../src/operators/window/aggregated.ts"
import { assigning } from "../../src/operators/window/assigner.ts"
import { type GridAssigner, gridOf } from "../../src/operators/window/grid.ts"
import { KeyedWindow } from "../../src/operators/window/keyedWindow.ts"
import { eventTime } from "../../src/operators/window/trigger.ts"
import { blockOf } from "../../src/state/block.ts"
import { MemorySpill } from "../../src/state/memorySpill.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { blocksOf, listCodec, merged } from "../harness.ts"

interface Event {
  readonly key: string
  readonly value: number
  readonly ts: number
}
type Row = Readonly<Record<string, unknown>>

const of = (event: Event): number => event.value
const aggregates: Readonly<Record<string, Aggregate>> = {
  count: { kind: "count" },
  sum: { kind: "sum", of },
  min: { kind: "min", of },
  max: { kind: "max", of },
  average: { kind: "average", of },
  spread: { kind: "standardDeviation", of },
  distinct: { kind: "distinctCount", of },
  // Changes its first argument, and hands on the second one where that will do.
  list: {
    kind: "custom",
    codec: listCodec as ValueCodec<unknown>,
    init: () => [],
    add: (list: number[], event: Event) => {
      list.push(event.value)
      return list
    },
    merge: (a: number[], b: number[]) => {
      if (a.length === 0) return b
      a.push(...b)
      return a
    },
    result: (list: number[]) => [...list]
  }
}

interface Spec {
  readonly assigner: GridAssigner
  readonly allowedLatenessMs: number
}

class Chain {
  readonly emitted: Row[] = []
  readonly late: Event[] = []
  readonly window: GridWindow | KeyedWindow
  readonly state: PartitionState
  private readonly head

  constructor(spec: Spec, kind: "grid" | "keyed", atOnce = Number.POSITIVE_INFINITY) {
    const key = keyed()
    const options = {
      id: "window",
      ...spec,
      key,
      atOnce,
      aggregates,
      output: {
        next: (record: object, ts: number) => this.emitted.push({ ...(record as Row), ts }),
        watermark: () => {}
      },
      late: { next: (record: object) => this.late.push(record as Event), watermark: () => {} }
    }
    this.window =
      kind === "grid"
        ? new GridWindow(options)
        : new KeyedWindow({ ...options, trigger: eventTime, contents: aggregated(options), what: "test" })
    this.head = keyBy((event: Event) => event.key, key, this.window)
    this.state = new PartitionState([this.window])
  }

  take(step: Step): void {
    if (typeof step === "number") this.head.watermark(step)
    else this.head.next(step, step.ts)
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.snapshot(out)
    return out.written().slice()
  }

  delta(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.delta(out)
    return out.written().slice()
  }

  /** What it emits from now on is added to what it has emitted. */
  follow(before: Chain): this {
    this.emitted.push(...before.emitted)
    this.late.push(...before.late)
    return this
  }
}

/** An event, or a watermark. */
type Step = Event | number

const anyAssigner: fc.Arbitrary<GridAssigner> = fc
  .tuple(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 1, max: 24 }), fc.integer({ min: -9, max: 9 }), fc.nat(2))
  .map(([a, b, offset, kind]): GridAssigner => {
    if (kind === 0) return { kind: "sliding", sizeMs: a, slideMs: b, offsetMs: offset }
    if (kind === 1) return { kind: "sliding", sizeMs: Math.max(a, b), slideMs: Math.min(a, b), offsetMs: offset }
    return { kind: "cumulative", sizeMs: a * Math.ceil(b / 3), stepMs: a, offsetMs: offset }
  })
const anySpec: fc.Arbitrary<Spec> = fc.record({
  assigner: anyAssigner,
  allowedLatenessMs: fc.constantFrom(0, 0, 1, 7, 40)
})

const integers = fc.integer({ min: -5, max: 5 })
const doubles = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 })
/** Mostly onwards in time, as streams go; the watermark behind by some bound, so that some events are late. */
const anySteps = (values: fc.Arbitrary<number>): fc.Arbitrary<readonly Step[]> =>
  fc
    .tuple(
      fc.array(
        fc.record({ key: fc.constantFrom("a", "b", "c", "d"), value: values, by: fc.integer({ min: -12, max: 16 }) }),
        {
          maxLength: 60
        }
      ),
      fc.nat(20),
      fc.integer({ min: 1, max: 4 })
    )
    .map(([moves, bound, every]) => {
      let time = -40
      let largest = NO_WATERMARK
      const steps: Step[] = []
      for (const [i, { key, value, by }] of moves.entries()) {
        time += by
        largest = Math.max(largest, time)
        steps.push({ key, value, ts: time })
        if (i % every === 0) steps.push(largest - bound - 1)
      }
      return [...steps, END_OF_TIME]
    })

/** Of what does not depend on how parts were merged: lists in no order, and what rounds. */
const comparable = (rows: readonly Row[]): readonly string[] =>
  rows
    .map(row =>
      JSON.stringify({
        ...row,
        list: (row.list as number[]).toSorted((a, b) => a - b),
        average: (row.average as number).toFixed(9),
        spread: (row.spread as number).toFixed(6)
      }).replaceAll('"-0.', '"0.')
    )
    .sort()

const run = (chain: Chain, steps: readonly Step[], between: (chain: Chain) => Chain = one => one): Chain => {
  let at = chain
  for (const step of steps) {
    at.take(step)
    at = between(at)
  }
  while (at.window.pending) at.window.proceed(3)
  return at
}

describe("windows of panes", () => {
  test("give what windows of each key give, step by step, late updates too", () => {
    fc.assert(
      fc.property(anySpec, anySteps(integers), (spec, steps) => {
        const [grid, other] = [new Chain(spec, "grid"), new Chain(spec, "keyed")]
        for (const step of steps) {
          grid.take(step)
          other.take(step)
          expect(comparable(grid.emitted.splice(0))).toEqual(comparable(other.emitted.splice(0)))
          expect(grid.late.splice(0)).toEqual(other.late.splice(0))
        }
        expect(grid.window.late.between).toBe(other.window.late.between)
      }),
      { numRuns: 300 }
    )
  })

  test("give what a naive model gives of events that are not late", () => {
    fc.assert(
      fc.property(anySpec, anySteps(integers), (spec, steps) => {
        const events = steps.filter(step => typeof step !== "number")
        const assign = assigning(spec.assigner)
        const windows = new Map<string, number>()
        for (const event of events)
          for (const { start, end } of assign(event.ts, event)) {
            const name = JSON.stringify([event.key, start, end])
            windows.set(name, (windows.get(name) ?? 0) + event.value)
          }
        const { emitted } = run(new Chain(spec, "grid"), [...events, END_OF_TIME])
        const sums = emitted.map(row => [JSON.stringify([row.key, row.windowStart, row.windowEnd]), row.sum])
        expect(sums.length).toBe(windows.size)
        expect(new Map(sums as [string, number][])).toEqual(windows)
      })
    )
  })

  test("give the same to the last bit and in the same order, restored after any step", () => {
    fc.assert(
      fc.property(anySpec, anySteps(doubles), fc.integer({ min: 1, max: 4 }), (spec, steps, every) => {
        let checkpoint: ReturnType<typeof merged> = []
        let turn = 0
        const restart = (chain: Chain): Chain => {
          checkpoint = merged(checkpoint, [chain.delta()])
          expect(merged([], [chain.snapshot()])).toEqual(checkpoint)
          if (turn++ % every !== 0) return chain
          const again = new Chain(spec, "grid").follow(chain)
          again.state.putBack(blockOf(checkpoint))
          return again
        }
        const restarted = run(new Chain(spec, "grid"), steps, restart)
        const whole = run(new Chain(spec, "grid"), steps)
        expect(restarted.emitted).toEqual(whole.emitted)
        expect(restarted.late).toEqual(whole.late)
      }),
      { numRuns: 200 }
    )
  })

  test("give the same in slices, with restarts between them and state in and out of the store", () => {
    const anyTurns = fc.array(fc.constantFrom("go on", "spill some", "spill all", "restart", "restart spilled"), {
      minLength: 1
    })
    fc.assert(
      fc.property(anySpec, anySteps(doubles), anyTurns, fc.nat(4), (spec, steps, turns, slice) => {
        let checkpoint: ReturnType<typeof merged> = []
        let store = new MemorySpill()
        let turn = 0
        const between = (chain: Chain): Chain => {
          chain.window.proceed(slice)
          const what = turns[turn++ % turns.length]!
          if (what === "go on") return chain
          checkpoint = merged(checkpoint, [chain.delta()])
          if (what.startsWith("spill")) {
            chain.state.age(store)
            chain.state.drain(what === "spill all" ? 1_000 : 2)
            expect(merged([], [chain.snapshot()])).toEqual(checkpoint)
            return chain
          }
          const again = new Chain(spec, "grid", 0).follow(chain)
          store = new MemorySpill()
          for (const block of blocksOf(checkpoint, 1 + (turn % 5))) {
            again.state.putBack(block)
            if (what === "restart") continue
            again.state.age(store)
            again.state.drain(1)
          }
          return again
        }
        const sliced = run(new Chain(spec, "grid", 0), steps, between)
        const whole = run(new Chain(spec, "grid"), steps)
        const sorted = (rows: readonly Row[]) => rows.map(row => JSON.stringify(row)).sort()
        expect(sorted(sliced.emitted)).toEqual(sorted(whole.emitted))
        expect(sliced.late).toEqual(whole.late)
      }),
      { numRuns: 300 }
    )
  })

  test("leave nothing behind", () => {
    const spec: Spec = { assigner: { kind: "sliding", sizeMs: 10, slideMs: 3, offsetMs: 0 }, allowedLatenessMs: 0 }
    const chain = run(new Chain(spec, "grid"), [{ key: "a", value: 1, ts: 5 }, { key: "b", value: 2, ts: 7 }, 30])
    expect(chain.window.memory.size().keys).toBe(0)
    // The descriptor, and how far it has come.
    expect(merged([], [chain.delta()]).length).toBe(2)
  })
})

describe("a grid", () => {
  test("has each time in the panes of its windows, and no other", () => {
    fc.assert(
      fc.property(anyAssigner, fc.integer({ min: -200, max: 200 }), (assigner, time) => {
        const grid = gridOf(assigner)
        const pane = grid.paneOf(time)
        const spans = assigning(assigner)(time, {})
        if (Number.isNaN(pane)) return expect(spans).toEqual([])
        const windows = []
        for (let window = grid.first(pane); window <= grid.last(pane); window++) {
          expect(grid.from(window)).toBeLessThanOrEqual(pane)
          expect(grid.to(window)).toBeGreaterThan(pane)
          expect(grid.cut(window)).toBeGreaterThanOrEqual(grid.from(window))
          expect(grid.cut(window)).toBeLessThanOrEqual(grid.to(window))
          windows.push({ start: grid.startOf(grid.from(window)) + 0, end: grid.maxTimestamp(window) + 1 })
          expect(grid.after(grid.maxTimestamp(window) - 1) + 0).toBe(window + 0)
          expect(grid.after(grid.maxTimestamp(window)) + 0).toBe(window + 1)
        }
        expect(windows).toEqual(spans.map(({ start, end }) => ({ start: start + 0, end })))
        expect(grid.paneOf(grid.startOf(pane)) + 0).toBe(pane + 0)
      }),
      { numRuns: 2000 }
    )
  })
})
