import { describe, expect, test } from "bun:test"
import { partitionOf } from "@headrace/core"
import fc from "fast-check"
import { Accounts, accountIndex } from "../src/generator/accounts.ts"
import { EventMaker, type EventOptions } from "../src/generator/events.ts"
import { Random } from "../src/generator/random.ts"
import { makeSchedule } from "../src/generator/schedule.ts"
import { Tally } from "../src/generator/tally.ts"
import { Zipf, zipfWeights } from "../src/generator/zipf.ts"
import { WindowSum } from "../src/measure/checksum.ts"
import { windowStart } from "../src/scenarios/payments/windows.ts"

const accounts = new Accounts(200, 4)
const zipf = new Zipf(200, 1)
const START = 1_800_000_000_000
const options: EventOptions = { seed: 7, disorderMs: 2000, lateFraction: 0.01, eventTimeShiftMs: 0 }

const make = (count: number, changes: Partial<EventOptions> = {}, thread = 0) => {
  const tally = new Tally(4)
  const maker = new EventMaker(thread, 0, { ...options, ...changes }, accounts, zipf, tally)
  const events = Array.from({ length: count }, (_, n) => {
    const partition = maker.next(START + n)
    return { ...maker.event, partition }
  })
  return { events, tally }
}

describe("random", () => {
  test("the same seed draws the same, another seed does not", () => {
    const draw = (seed: number) =>
      Array.from(
        { length: 50 },
        (
          _random => () =>
            _random.bits()
        )(new Random(seed))
      )
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
  })

  test("is uniform", () => {
    const random = new Random(3)
    const cells = new Float64Array(64)
    for (let i = 0; i < 640_000; i++) cells[random.below(64)]!++
    for (const cell of cells) expect(Math.abs(cell - 10_000)).toBeLessThan(600)
  })
})

describe("zipf", () => {
  test.each([0, 0.8, 1, 1.3])("draws ranks with their probabilities, exponent %p", exponent => {
    const draws = 400_000
    const seen = new Float64Array(1000)
    const random = new Random(11)
    const ranks = new Zipf(1000, exponent)
    for (let i = 0; i < draws; i++) seen[ranks.draw(random)]!++
    const squares = zipfWeights(1000, exponent).map((p, rank) => (seen[rank]! - p * draws) ** 2 / (p * draws))
    // Chi square with 999 degrees of freedom: mean 999, deviation 45.
    expect(squares.reduce((sum, square) => sum + square, 0)).toBeLessThan(999 + 5 * 45)
  })
})

describe("schedule", () => {
  test("is even without bursts", () => {
    const schedule = makeSchedule(60_000, 1500)
    expect(schedule.total).toBe(90_000)
    expect(schedule.intendedMs(60_000)).toBe(1000)
  })

  test("keeps the mean and the burst's factor", () => {
    const schedule = makeSchedule(1000, 20_000, { everyMs: 1000, lastsMs: 200, factor: 4 })
    const times = Array.from({ length: schedule.total }, (_, n) => schedule.intendedMs(n))
    const inBurst = times.filter(at => at % 1000 >= 800).length
    expect(times.at(-1)).toBeLessThan(20_000)
    expect(times.at(-1)).toBeGreaterThan(19_990)
    expect(inBurst / (times.length - inBurst)).toBeCloseTo(1, 1)
  })

  test("never goes back", () => {
    const burst = fc.record({
      everyMs: fc.integer({ min: 100, max: 5000 }),
      factor: fc.double({ min: 1, max: 50, noNaN: true })
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        burst,
        fc.integer({ min: 0, max: 1_000_000 }),
        (rate, { everyMs, factor }, n) => {
          const { intendedMs } = makeSchedule(rate, 1000, { everyMs, lastsMs: everyMs / 4, factor })
          expect(intendedMs(n + 1)).toBeGreaterThan(intendedMs(n))
        }
      )
    )
  })
})

describe("events", () => {
  test("follow from the seed and the thread", () => {
    expect(make(2000).events).toEqual(make(2000).events)
    expect(make(2000, { seed: 8 }).events).not.toEqual(make(2000).events)
    expect(make(2000, {}, 1).events).not.toEqual(make(2000).events)
  })

  test("have dense ids, their account's partition and bounded disorder", () => {
    const { events } = make(20_000, { lateFraction: 0 })
    expect(events.map(e => e.id)).toEqual(events.map((_, n) => n))
    const utf8 = new TextEncoder()
    for (const e of events) {
      expect(e.partition).toBe(partitionOf(utf8.encode(e.account), 4))
      expect(e.sentAt - e.at).toBeGreaterThanOrEqual(0)
      expect(e.sentAt - e.at).toBeLessThanOrEqual(2001)
    }
  })

  test("late ones are minutes late, planted only after the warm-up, and counted", () => {
    const { events, tally } = make(40_000)
    const late = events.filter(e => e.sentAt - e.at > 20_000)
    expect(late.length).toBe(tally.late)
    expect(late.length).toBeGreaterThan(200)
    expect(late.length).toBeLessThan(500)
    for (const e of late) {
      expect(e.kind).toBe("payment")
      expect(e.sentAt - START).toBeGreaterThan(5000)
      expect(e.sentAt - e.at).toBeGreaterThan(290_000)
    }
  })

  test("the tally sums what a naive reader finds", () => {
    const { events, tally } = make(20_000)
    const sum = new WindowSum()
    for (const e of events) if (e.kind === "payment") sum.add(accountIndex(e.account), windowStart(e.at), 1, e.cents)
    expect(sum.equals(tally.windows)).toBe(true)
    expect(tally.maxAt).toBe(Math.max(...events.map(e => e.at)))
    for (const p of [0, 1, 2, 3]) expect(tally.perPartition[p]).toBe(events.filter(e => e.partition === p).length)
  })
})
