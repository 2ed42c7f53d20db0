import { describe, expect, test } from "bun:test"
import { Accounts } from "../src/generator/accounts.ts"
import { EventMaker } from "../src/generator/events.ts"
import { Load, type Outbox } from "../src/generator/load.ts"
import { makeSchedule } from "../src/generator/schedule.ts"
import { Tally } from "../src/generator/tally.ts"
import { Zipf } from "../src/generator/zipf.ts"

const START = 1_800_000_000_000
const accounts = new Accounts(50, 4)
const zipf = new Zipf(50, 1)

/** A producer that can be stalled: remembers what it took and when. */
class FakeOutbox implements Outbox {
  stalled = false
  /** Takes this many at a time before its queue is full. */
  accepts = Number.POSITIVE_INFINITY
  now = 0
  readonly sent: { id: number; sentAt: number; at: number }[] = []
  private held: { id: number; sentAt: number }[] = []
  mostHeld = 0
  hasRoom = () => this.held.length < 64
  add = ({ event }: EventMaker) => {
    this.held.push({ id: event.id, sentAt: event.sentAt })
    this.mostHeld = Math.max(this.mostHeld, this.held.length)
  }
  send = () => {
    const taken = this.held.splice(0, this.stalled ? 0 : this.accepts)
    for (const event of taken) this.sent.push({ ...event, at: this.now })
    return this.held.length === 0
  }
}

const start = (rate: number, forMs: number, thread = 0, threads = 1) => {
  const outbox = new FakeOutbox()
  const options = { seed: 1, disorderMs: 2000, lateFraction: 0, eventTimeShiftMs: 0 }
  const maker = new EventMaker(thread, 0, options, accounts, zipf, new Tally(4))
  const load = new Load(makeSchedule(rate, forMs), { thread, threads, startAt: START }, maker, outbox)
  const run = (fromMs: number, toMs: number, stepMs = 3) => {
    for (let at = fromMs; at <= toMs; at += stepMs) {
      outbox.now = START + at
      load.tick(START + at)
    }
  }
  return { outbox, load, run }
}

describe("the open loop", () => {
  test("sends everything once, in order, never before its time and within a tick", () => {
    const { outbox, load, run } = start(10_000, 1000)
    run(0, 1100)
    expect(load.finished).toBe(true)
    expect(outbox.sent.map(e => e.id)).toEqual(Array.from({ length: 10_000 }, (_, n) => n))
    for (const e of outbox.sent) {
      expect(e.at).toBeGreaterThanOrEqual(e.sentAt)
      expect(e.at - e.sentAt).toBeLessThanOrEqual(3)
    }
  })

  test("a stalled sink neither moves intended times nor loses an event, and the delay shows", () => {
    const { outbox, load, run } = start(10_000, 2000)
    run(0, 500)
    outbox.stalled = true
    run(501, 1501)
    expect(load.gauge.behindMs).toBeGreaterThan(950)
    expect(load.gauge.queueFull).toBeGreaterThan(300)
    expect(outbox.mostHeld).toBeLessThanOrEqual(64)
    expect(load.finished).toBe(false)
    outbox.stalled = false
    run(1504, 2100)
    expect(load.finished).toBe(true)
    expect(load.gauge.behindMs).toBe(0)
    expect(load.gauge.behindMaxMs).toBeGreaterThan(950)
    expect(outbox.sent.map(e => e.id)).toEqual(Array.from({ length: 20_000 }, (_, n) => n))
    for (const [n, e] of outbox.sent.entries()) expect(e.sentAt).toBeCloseTo(START + n / 10, 2)
  })

  test("a queue that takes only a part keeps the order", () => {
    const { outbox, load, run } = start(10_000, 100)
    outbox.accepts = 7
    run(0, 5000)
    expect(load.finished).toBe(true)
    expect(outbox.sent.map(e => e.id)).toEqual(Array.from({ length: 1000 }, (_, n) => n))
  })

  test("threads share the schedule without gap or overlap", () => {
    const times = [0, 1, 2].flatMap(thread => {
      const { outbox, run } = start(9000, 1000, thread, 3)
      run(0, 1010)
      return outbox.sent.map(e => e.sentAt)
    })
    times.sort((a, b) => a - b)
    expect(times.length).toBe(9000)
    for (const [n, at] of times.entries()) expect(at).toBeCloseTo(START + n / 9, 2)
  })
})
