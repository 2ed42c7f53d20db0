import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { KeyError, keyed } from "../src/key.ts"
import { END_OF_TIME } from "../src/operator.ts"
import { GridWindow } from "../src/operators/gridWindow.ts"
import { keyBy } from "../src/operators/keyBy.ts"
import type { Entry } from "../src/state/block.ts"
import { ChangeReader, PREFIX_TOMBSTONE } from "../src/state/changes.ts"
import { StateError } from "../src/state/error.ts"
import { Chain, type Event, merged, restored, type WindowSpec } from "./harness.ts"
import { anyEvents, anySpec, byWindow, model, run } from "./windowModel.ts"

const kindsOf = (changes: Uint8Array): number[] => {
  const kinds: number[] = []
  for (const reader = new ChangeReader(changes); reader.next(); ) kinds.push(reader.kind)
  return kinds
}

describe("tumbling window", () => {
  test("without late events it emits what the model says, in its order", () => {
    fc.assert(
      fc.property(anyEvents, anySpec, (events, spec) => {
        const { emits, late } = run(new Chain(spec, 1000), events)
        expect(late).toEqual([])
        expect(emits).toEqual(model(events, spec))
      })
    )
  })

  test("each event is in the last result of its window or late, never both", () => {
    fc.assert(
      fc.property(anyEvents, anySpec, fc.integer({ min: 0, max: 100 }), (events, spec, bound) => {
        const { emits, late } = run(new Chain(spec, bound), events)
        const last = new Map(emits.map(one => [`${one.start} ${one.key}`, one]))
        const taken = events.filter(
          event => !late.some(one => one.key === event.key && one.ts === event.ts && Object.is(one.value, event.value))
        )
        const counted = Array.from(last.values()).reduce((sum, one) => sum + one.count, 0)
        expect(counted + late.length).toBe(events.length)
        for (const one of model(taken, spec)) {
          const found = last.get(`${one.start} ${one.key}`)!
          expect(found.count).toBeGreaterThanOrEqual(one.count)
        }
      })
    )
  })

  test("restored after each step it emits the same in the same order", () => {
    fc.assert(
      fc.property(anyEvents, anySpec, fc.integer({ min: 0, max: 100 }), (events, spec, bound) => {
        let checkpoint: Entry[] = []
        const restart = (chain: Chain): Chain => {
          checkpoint = merged(checkpoint, [chain.delta()])
          return restored(spec, checkpoint, [], bound)
        }
        expect(run(new Chain(spec, bound), events, restart)).toEqual(run(new Chain(spec, bound), events))
      })
    )
  })

  test("emitted in slices, with a restart after each step, the results of each window are the same", () => {
    const check = (events: readonly Event[], spec: WindowSpec, bound: number, slice: number) => {
      let checkpoint: Entry[] = []
      const restart = (chain: Chain): Chain => {
        chain.window.proceed(slice)
        checkpoint = merged(checkpoint, [chain.delta()])
        const again = restored(spec, checkpoint, [], bound, 1, 0)
        again.emitted.push(...chain.emitted)
        again.late.push(...chain.late)
        return again
      }
      const sliced = run(new Chain(spec, bound, 0), events, restart, chain => {
        while (chain.window.pending) chain.window.proceed(2)
      })
      const whole = run(new Chain(spec, bound), events)
      expect(sliced.late).toEqual(whole.late)
      expect(byWindow(sliced.emits)).toEqual(byWindow(whole.emits))
    }
    fc.assert(
      fc.property(anyEvents, anySpec, fc.nat(100), fc.nat(3), (events, spec, bound, slice) => {
        check(events, spec, bound, slice)
        // In time order nothing is late, so that windows fill before they are due.
        const inOrder = events.toSorted((a, b) => a.ts - b.ts)
        check(inOrder, spec, bound, slice)
      })
    )
  })

  test("the watermark waits for the results before it", () => {
    const seen: (string | number)[] = []
    const key = keyed()
    const window = new GridWindow({
      id: "sliced",
      assigner: { kind: "tumbling", sizeMs: 10, offsetMs: 0 },
      allowedLatenessMs: 0,
      aggregates: { n: { kind: "count" } },
      key,
      atOnce: 2,
      output: {
        next: record => seen.push((record as { key: string }).key),
        watermark: watermark => seen.push(watermark)
      },
      late: undefined
    })
    const head = keyBy((r: { k: string }) => r.k, key, window)
    for (const k of ["a", "b", "c"]) head.next({ k }, 1)
    head.watermark(15)
    expect(seen).toEqual(["a", "b"])
    head.next({ k: "d" }, 9)
    expect(window.late.count).toBe(1)
    expect(window.proceed(5)).toBe(1)
    expect(seen).toEqual(["a", "b", "c", 15])
    expect(window.pending).toBe(false)
  })

  test("a late event of an empty window, while a later one is firing, does not begin that one anew", () => {
    const chain = new Chain({ size: 10, offset: 0, allowedLateness: 100 }, 0, 2)
    for (const key of ["a", "b", "c"]) chain.event({ key, value: 1, ts: 25 })
    chain.watermark(35)
    chain.event({ key: "d", value: 1, ts: 5 })
    while (chain.window.pending) chain.window.proceed(1)
    expect(chain.take().emits.map(({ key, start }) => [key, start])).toEqual([
      ["a", 20],
      ["b", 20],
      ["d", 0],
      ["c", 20]
    ])
  })

  test("checkpoint and changelog agree with the live state, wherever the checkpoint was taken", () => {
    fc.assert(
      fc.property(anyEvents, anySpec, fc.nat(60), fc.integer({ min: 1, max: 5 }), (events, spec, at, every) => {
        const changelog: Uint8Array[] = []
        const chain = new Chain(spec, 20)
        events.forEach((event, i) => {
          chain.event(event)
          chain.watermark(chain.clock.watermark())
          if (i % every === 0) changelog.push(chain.delta())
        })
        changelog.push(chain.delta())
        const checkpoint = merged([], changelog.slice(0, at))
        const next = merged(checkpoint, changelog.slice(at))
        expect(next).toEqual(merged([], [chain.snapshot()]))
        expect(next).toEqual(merged([], [restored(spec, checkpoint, changelog.slice(at), 20, 2).snapshot()]))
      })
    )
  })

  test("a closed window leaves one prefix tombstone, and nothing if no delta ever named it", () => {
    const chain = new Chain({ size: 10, offset: 0, allowedLateness: 0 })
    const tombstones = () => kindsOf(chain.delta()).filter(kind => kind === PREFIX_TOMBSTONE).length
    for (const key of ["a", "b", "c"]) chain.event({ key, value: 1, ts: 5 })
    expect(tombstones()).toBe(0)
    chain.watermark(9)
    expect(tombstones()).toBe(1)
    for (const key of ["a", "b", "c"]) chain.event({ key, value: 1, ts: 15 })
    chain.watermark(19)
    expect(tombstones()).toBe(0)
  })

  test("what a restored window held is gone once it has closed", () => {
    const spec = { size: 10, offset: 0, allowedLateness: 0 }
    const chain = new Chain(spec)
    for (const key of ["a", "b", "c"]) chain.event({ key, value: 1, ts: 5 })
    const checkpoint = merged([], [chain.delta()])
    const again = restored(spec, checkpoint, [])
    again.watermark(9)
    const after = merged(checkpoint, [again.delta()])
    // Two descriptors, the source's clock, the window's watermark.
    expect(after.length).toBe(4)
  })

  test("distinct values of one key are never taken for those of another, and undefined is none", () => {
    const seen: unknown[] = []
    const key = keyed()
    const window = new GridWindow({
      id: "distinct",
      assigner: { kind: "tumbling", sizeMs: 10, offsetMs: 0 },
      allowedLatenessMs: 0,
      aggregates: { distinct: { kind: "distinctCount", of: (r: { v: string | number | undefined }) => r.v } },
      key,
      output: { next: record => seen.push((record as { distinct: number }).distinct), watermark: () => {} },
      late: undefined
    })
    const head = keyBy((r: { k: string }) => r.k, key, window)
    const values = [
      ["k", "v\u0001w"],
      ["k\u0001v", "w"],
      ["k", 1],
      ["k", "1"],
      ["k", 1],
      ["k", undefined]
    ] as const
    for (const [k, v] of values) head.next({ k, v }, 1)
    head.watermark(END_OF_TIME)
    expect(seen).toEqual([3, 1])
  })

  test("late events that have nowhere to go are counted", () => {
    const key = keyed()
    const output = { next: () => {}, watermark: () => {} }
    const window = new GridWindow({
      id: "late",
      assigner: { kind: "tumbling", sizeMs: 10, offsetMs: 0 },
      allowedLatenessMs: 0,
      aggregates: { n: { kind: "count" } },
      key,
      output,
      late: undefined
    })
    const head = keyBy(() => "a", key, window)
    head.watermark(9)
    head.next({}, 9)
    head.next({}, 10)
    expect([window.late.count, window.late.dropped]).toEqual([1, 1])
  })

  test("an untouched state writes no change", () => {
    const chain = new Chain({ size: 10, offset: 0, allowedLateness: 0 })
    chain.event({ key: "a", value: 1, ts: 5 })
    chain.delta()
    expect(chain.delta().length).toBe(0)
  })

  test("keys of two kinds are refused", () => {
    const chain = new Chain({ size: 10, offset: 0, allowedLateness: 0 })
    chain.event({ key: "a", value: 1, ts: 5 })
    expect(() => chain.event({ key: 1, value: 1, ts: 5 })).toThrow(KeyError)
  })

  test("a timestamp that is no time is refused", () => {
    const chain = new Chain({ size: 10, offset: 0, allowedLateness: 0 })
    expect(() => chain.event({ key: "a", value: 1, ts: Number.NaN })).toThrow(RangeError)
  })

  test("state of another window size is refused", () => {
    const chain = new Chain({ size: 10, offset: 0, allowedLateness: 0 })
    chain.event({ key: "a", value: 1, ts: 5 })
    const changes = chain.delta()
    expect(() => restored({ size: 20, offset: 0, allowedLateness: 0 }, [], [changes])).toThrow(StateError)
  })

  test("20,000 keys survive growth and a restore, in order", () => {
    const spec = { size: 10, offset: 0, allowedLateness: 0 }
    const chain = new Chain(spec)
    for (let i = 0; i < 20_000; i++) chain.event({ key: `account-${(i * 7919) % 20_011}`, value: i, ts: 5 })
    const again = restored(spec, merged([], [chain.delta()]), [])
    chain.watermark(9)
    again.watermark(9)
    expect(again.take().emits.map(one => one.list[0])).toEqual(chain.emitted.map(one => one.list[0]))
    expect(chain.emitted.length).toBe(20_000)
  })
})
