import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { keyed } from "../src/key.ts"
import { keyBy } from "../src/operators/keyBy.ts"
import { Process } from "../src/operators/process.ts"
import type { ProcessContext } from "../src/operators/processContext.ts"
import type { Entry } from "../src/state/block.ts"
import { ChangeReader, TOMBSTONE } from "../src/state/changes.ts"
import { blocksOf, merged } from "./harness.ts"
import { anyEvents, anyTimedEvents, anyTtl, Chain, type Event, type Op, type Ttl } from "./processModel.ts"
import { byKey, expected, run } from "./processRuns.ts"

const FOREVER: Ttl = { value: undefined, list: undefined, map: undefined, sum: undefined }
const event = (key: string, ts: number, ...ops: Op[]): Event => ({ key, ts, ops })

const restored = (ttl: Ttl, checkpoint: Iterable<Entry>, log: Iterable<Uint8Array>, atOnce?: number): Chain => {
  const chain = new Chain(ttl, atOnce)
  for (const block of blocksOf(checkpoint, 3)) chain.state.putBack(block)
  // Twice: applying a change again does no harm.
  for (const changes of log) for (let i = 0; i < 2; i++) chain.state.apply(changes)
  return chain
}

const kindsOf = (changes: Uint8Array): number[] => {
  const kinds: number[] = []
  for (const reader = new ChangeReader(changes); reader.next(); ) kinds.push(reader.kind)
  return kinds
}

describe("all handles and timers", () => {
  test("do what the model does", () => {
    fc.assert(
      fc.property(anyTimedEvents, anyTtl, (events, ttl) => {
        expect(run(new Chain(ttl), events)).toEqual(expected(events, ttl))
      })
    )
  })

  test("sliced firing does the same to each key", () => {
    fc.assert(
      fc.property(anyEvents, anyTtl, fc.array(fc.nat(2)), (events, ttl, slices) => {
        let turn = 0
        const seen = run(
          new Chain(ttl, 0),
          events,
          chain => {
            chain.process.proceed(slices[turn++ % slices.length] ?? 0)
            return chain
          },
          true
        )
        expect(byKey(seen)).toEqual(byKey(expected(events, ttl)))
      })
    )
  })

  test("restored at any step from a checkpoint and the log behind it, they go on as if nothing had happened", () => {
    // Where slices are cut decides which record a timer in processing time comes before.
    const anyRun = fc.oneof(fc.tuple(fc.constant(true), anyEvents), fc.tuple(fc.constant(false), anyTimedEvents))
    const anySteps = fc.array(fc.constantFrom("delta", "checkpoint", "restore", "none"), { minLength: 1 })
    fc.assert(
      fc.property(anyRun, anyTtl, anySteps, ([sliced, events], ttl, steps) => {
        const atOnce = sliced ? 0 : undefined
        let checkpoint: Entry[] = []
        let log: Uint8Array[] = []
        let turn = 0
        const seen = run(
          new Chain(ttl, atOnce),
          events,
          chain => {
            const step = steps[turn++ % steps.length]
            if (sliced) chain.process.proceed(1)
            const late = chain.seen.splice(0)
            if (step !== "none") log.push(chain.delta())
            if (step === "checkpoint") {
              checkpoint = merged(checkpoint, log)
              log = []
            }
            const next = step === "restore" ? restored(ttl, checkpoint, log, atOnce) : chain
            next.clock.now = chain.clock.now
            next.seen.push(...late)
            return next
          },
          sliced
        )
        expect(byKey(seen)).toEqual(byKey(expected(events, ttl)))
      })
    )
  })

  test("the log adds up to the snapshot, and a restored snapshot is the same one", () => {
    fc.assert(
      fc.property(anyTimedEvents, anyTtl, (events, ttl) => {
        const log: Uint8Array[] = []
        run(new Chain(ttl), events, chain => {
          log.push(chain.delta())
          const snapshot = merged([], [chain.snapshot()])
          expect(merged([], log)).toEqual(snapshot)
          expect(merged([], [restored(ttl, snapshot, []).snapshot()])).toEqual(snapshot)
          return chain
        })
      })
    )
  })
})

describe("timers", () => {
  const times = (chain: Chain) => chain.seen.filter(one => one.timer).map(one => [one.key, one.at])

  test("fire in time order, once, before the watermark goes on", () => {
    const chain = new Chain(FOREVER)
    chain.head.next(event("a", 0, { do: "register", time: 44 }, { do: "register", time: 40 }), 0)
    chain.head.next(event("b", 0, { do: "register", time: 40 }, { do: "register", time: 40 }), 0)
    chain.head.watermark(39)
    expect(times(chain)).toEqual([])
    chain.head.watermark(44)
    chain.head.watermark(45)
    expect(times(chain)).toEqual([["a", 40], ["b", 40], ["a", 44]]) // biome-ignore format: a table
    expect(chain.watermarks).toEqual([[39, 2], [44, 5], [45, 5]]) // biome-ignore format: a table
  })

  test("many wait for their turn; the watermark comes behind the last one, and a record behind its key's own", () => {
    const chain = new Chain(FOREVER, 0)
    for (let i = 0; i < 10; i++) chain.head.next(event(`k${i}`, 0, { do: "register", time: 40 }), 0)
    chain.head.watermark(50)
    expect(chain.process.pending).toBe(true)
    expect(chain.process.proceed(4)).toBe(4)
    expect(chain.watermarks).toEqual([])
    chain.head.next(event("k9", 60, { do: "append", n: 1 }), 60)
    expect(chain.seen.slice(-2).map(one => [one.key, one.timer, one.list])).toEqual([
      ["k9", true, [40]],
      ["k9", false, [40, 1]]
    ])
    expect(chain.process.proceed(100)).toBe(5)
    expect(chain.process.pending).toBe(false)
    expect(chain.watermarks).toEqual([[50, 21]])
  })

  test("of one time fire in the order in which they were registered, over a restart too", () => {
    const before = new Chain(FOREVER)
    for (const key of ["c", "b"]) before.head.next(event(key, 0, { do: "register", time: 40 }), 0)
    const chain = restored(FOREVER, merged([], [before.snapshot()]), [])
    chain.head.next(event("a", 0, { do: "register", time: 40 }), 0)
    chain.head.watermark(40)
    expect(times(chain).map(([key]) => key)).toEqual(["c", "b", "a"])
  })

  test("what is no time is refused", () => {
    const chain = new Chain(FOREVER)
    const register = (time: number) => () => chain.head.next(event("a", 0, { do: "register", time }), 0)
    expect(register(Number.NaN)).toThrow("timer's time")
    expect(register(Number.POSITIVE_INFINITY)).toThrow("timer's time")
    expect(() => chain.head.next(event("a", 0), Number.NaN)).toThrow("not a time")
  })
})

describe("timers in processing time", () => {
  const ops = (...times: number[]): Op[] => times.map(time => ({ do: "registerProcessing", time }))
  const started = (chain: Chain): Chain => {
    chain.head.watermark(50)
    return chain
  }
  /** The clock at which each fired. */
  const rings = (chain: Chain) => chain.seen.filter(one => one.timer).map(one => [one.key, one.processingTime])

  test("fire when the clock has reached their time, without a record, once", () => {
    const chain = started(new Chain(FOREVER))
    chain.head.next(event("a", 60, ...ops(302, 300)), 60)
    expect(chain.process.pending).toBe(false)
    chain.clock.now = 301
    expect(chain.process.pending).toBe(true)
    expect(chain.process.proceed(9)).toBe(1)
    chain.clock.now = 302
    expect([chain.process.proceed(9), chain.process.proceed(9)]).toEqual([1, 0])
    expect(rings(chain)).toEqual([["a", 301], ["a", 302]]) // biome-ignore format: a table
    // What they emit is not late.
    expect(chain.seen.slice(-1)[0]).toMatchObject({ at: 51, watermark: 50 })
  })

  test("of a clock that is set back wait, and those that have fired do not fire again", () => {
    const chain = started(new Chain(FOREVER))
    chain.head.next(event("a", 60, ...ops(300, 310)), 60)
    chain.clock.now = 305
    chain.process.proceed(9)
    for (const now of [200, 305, 309]) {
      chain.clock.now = now
      expect(chain.process.pending).toBe(false)
    }
    chain.clock.now = 310
    chain.process.proceed(9)
    expect(rings(chain)).toEqual([["a", 305], ["a", 310]]) // biome-ignore format: a table
  })

  test("that are overdue after a restart fire at once; those that had fired do not", () => {
    const before = started(new Chain(FOREVER))
    before.head.next(event("a", 60, ...ops(300, 310)), 60)
    before.clock.now = 305
    before.process.proceed(9)
    const chain = restored(FOREVER, merged([], [before.snapshot()]), [])
    chain.clock.now = 1_000
    expect(chain.process.pending).toBe(true)
    expect(chain.process.proceed(9)).toBe(1)
    expect(rings(chain)).toEqual([["a", 1_000]])
  })

  test("wait for the beginning of event time, and do not fire behind its end", () => {
    const chain = new Chain(FOREVER)
    chain.clock.now = 1_000
    chain.head.next(event("a", 60, ...ops(300, 301)), 60)
    expect(chain.process.pending).toBe(false)
    chain.head.watermark(50)
    expect(chain.process.proceed(1)).toBe(1)
    chain.head.watermark(Number.POSITIVE_INFINITY)
    expect(chain.process.pending).toBe(false)
  })
})

describe("entries", () => {
  test("an element that is appended is one entry, and so is a map's; removed ones leave a tombstone if logged", () => {
    const chain = new Chain(FOREVER)
    for (let n = 0; n < 5; n++) chain.head.next(event("a", n, { do: "append", n }, { do: "put", sub: n, n }), n)
    expect(kindsOf(chain.delta()).length).toBe(1 + 10) // the descriptor is the other one
    chain.head.next(event("a", 5, { do: "append", n: 5 }, { do: "put", sub: 2, n: 5 }), 5)
    expect(kindsOf(chain.delta()).length).toBe(2)
    chain.head.next(event("a", 6, { do: "append", n: 6 }, { do: "clearList" }), 6)
    const kinds = kindsOf(chain.delta())
    expect(kinds).toEqual(Array(6).fill(TOMBSTONE))
  })

  test("what expires goes with the watermark: a tombstone each, and its memory", () => {
    const chain = new Chain({ ...FOREVER, list: 10 })
    const empty = chain.process.memory.size().bytes
    for (let n = 0; n < 5; n++) chain.head.next(event(`k${n}`, n, { do: "append", n }), n)
    chain.head.next(event("k0", 1, { do: "append", n: 5 }), 1)
    chain.delta()
    expect(chain.process.memory.size().bytes).toBeGreaterThan(empty)
    chain.head.watermark(12)
    expect(kindsOf(chain.delta()).filter(kind => kind === TOMBSTONE).length).toBe(4)
    chain.head.watermark(14)
    chain.delta()
    expect(chain.process.memory.size().bytes).toBe(empty)
  })

  test("of a list whose beginning has expired go on behind the last one, over a restart too", () => {
    const ttl = { ...FOREVER, list: 10 }
    const before = new Chain(ttl)
    for (const n of [0, 5, 8]) before.head.next(event("a", n, { do: "append", n }), n)
    before.head.watermark(12)
    const chain = restored(ttl, merged([], [before.snapshot()]), [])
    chain.head.next(event("a", 13, { do: "append", n: 13 }), 13)
    expect(chain.seen[0]!.list).toEqual([5, 8, 13])
  })

  test("that were restored are written as they came, and used like others: what is removed does not come back", () => {
    const before = new Chain(FOREVER)
    for (const key of ["a", "b", "c"]) before.head.next(event(key, 0, { do: "set", n: 7 }), 0)
    const snapshot = merged([], [before.snapshot()])
    const chain = restored(FOREVER, snapshot, [])
    expect(merged([], [chain.snapshot()])).toEqual(snapshot)
    for (const op of [{ do: "set", n: 8 }, { do: "clearValue" }, { do: "clearList" }] as const)
      chain.head.next(event("b", 1, op), 1)
    expect(chain.seen.map(({ value }) => value)).toEqual([8, undefined, undefined])
    const removed = merged(snapshot, [chain.delta()])
    expect(removed.length).toBeLessThan(snapshot.length)
    expect(merged([], [chain.snapshot()])).toEqual(removed)
  })

  test("have the form that was agreed on: state of an earlier version is found", () => {
    const chain = new Chain({ ...FOREVER, value: 10 })
    const ops: Op[] = [
      { do: "set", n: 1 },
      { do: "append", n: 2 },
      { do: "put", sub: "s", n: 3 }
    ]
    chain.head.next(event("a", 0, ...ops, { do: "register", time: 7 }, { do: "registerProcessing", time: 8 }), 0)
    const entries = merged([], [chain.snapshot()]).slice(1)
    const hex = (bytes: Uint8Array) => Buffer.from(bytes.subarray(12)).toString("hex")
    expect(entries.map(([key, value]) => `${hex(key)} ${Buffer.from(value).toString("latin1")}`)).toEqual([
      // timers, those in processing time behind: kind 1, one byte "a", kind 2, the time as an ordered double · due · order
      "02010161" + "02c01c000000000000 \x1c\x00",
      "03010161" + "02c020000000000000 \x20\x00",
      "04010161" + "02" + "8000000000000000 2",
      "05010161" + "0173 3",
      "07010161 (\x001"
    ])
  })

  test("of other states are refused by name", () => {
    const changes = new Chain({ ...FOREVER, value: 10 }).delta()
    expect(() => restored(FOREVER, [], [changes])).toThrow(
      "state value\n    was:  value: value of any with a ttl\n    is:   value: value of any\n"
    )
  })
})

test("a timer that fails is named", () => {
  const key = keyed()
  const output = { next: () => {}, watermark: () => {} }
  const onRecord = (_: Event, { timers }: ProcessContext<string, object, object>) => timers.register(40)
  const onTimer = () => {
    throw new Error("too bad")
  }
  const clock = { now: 0 }
  const options = { id: "alerts", state: {}, onRecord, onTimer, onProcessingTimer: undefined, clock }
  const process = new Process({ ...options, key, output })
  keyBy((one: Event) => one.key, key, process).next(event("a", 0), 0)
  expect(() => process.watermark(50)).toThrow(/"alerts" at its timer 40 of the key a: .*too bad/)
})

test("a context that is kept says so when it is used", () => {
  let kept: { readonly key: unknown } | undefined
  const chain = new Chain(FOREVER)
  const call = (chain.process as unknown as { call: typeof kept }).call
  kept = call
  chain.head.next(event("a", 0, { do: "set", n: 1 }), 0)
  expect(() => kept!.key).toThrow("used after the call")
})
