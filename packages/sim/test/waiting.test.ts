/** Quiet partitions that are far apart are waited for together, and none that has records to give is passed by. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { DRIFT_MS, IDLE_MS, type Log, type Reader, Waiting } from "./waiting.ts"

const HOUR = 3_600_000
const QUIET = 50
/** Looks, and their answers, take their time. */
const SLACK_MS = 2_500

/** Hours apart: all that they have was read before. */
const quiet = (process: (i: number) => number, lane: (i: number) => number): readonly Log[] =>
  Array.from({ length: QUIET }, (_, i) => ({
    records: [{ written: 0, at: i * HOUR }],
    before: 1,
    process: process(i),
    lane: lane(i)
  }))

const live: Log = {
  records: Array.from({ length: 20 }, (_, i) => ({ written: 0, at: QUIET * HOUR + i })),
  before: 1,
  process: 0,
  lane: 0
}

test.each([
  ["one lane", () => 0, () => 0],
  ["two lanes", () => 0, (i: number) => i % 2],
  ["two processes", (i: number) => i % 2, () => 0],
  ["another process", () => 1, () => 0],
  ["three processes of two lanes", (i: number) => i % 3, (i: number) => i % 2]
])("50 quiet partitions of %s that are hours apart cost one idle time-out, not one each", (_, process, lane) => {
  const waiting = new Waiting([live, ...quiet(process, lane)])
  const [reader] = waiting.readers
  waiting.run(() => reader!.position === 20)
  expect(waiting.now).toBeGreaterThan(IDLE_MS)
  expect(waiting.now).toBeLessThan(IDLE_MS + 20 * 100 + SLACK_MS)
  expect(waiting.readers.every(one => one.mayBeIdle)).toBe(true)
})

test("where ends cannot be read it is not known whether those that are held back have records: they are waited for", () => {
  const waiting = new Waiting([
    live,
    ...quiet(
      () => 0,
      () => 0
    ).slice(0, 3)
  ])
  waiting.seesEnds = false
  const [reader] = waiting.readers
  waiting.run(() => reader!.position === 20)
  expect(waiting.now).toBeGreaterThan(3 * IDLE_MS)
})

const logs = (processes: number, lanes: number) =>
  fc.array(
    fc
      .record({
        steps: fc.array(
          fc.record({
            // Mostly a stream, now and then a silence around the time-out.
            pause: fc.oneof({ weight: 4, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(12_000) }),
            gap: fc.oneof(fc.nat(DRIFT_MS), fc.nat(20 * DRIFT_MS))
          }),
          { minLength: 1, maxLength: 25 }
        ),
        start: fc.nat(50 * DRIFT_MS),
        before: fc.nat(10),
        process: fc.nat(processes - 1),
        lane: fc.nat(lanes - 1)
      })
      .map(({ steps, start, before, process, lane }): Log => {
        let written = 0
        let at = start
        const records = steps.map(({ pause, gap }, i) => {
          // What was read before was written before.
          if (i >= before) written += pause
          at += gap
          return { written, at }
        })
        return { records, before: Math.min(before, records.length), process, lane }
      }),
    { minLength: 2, maxLength: 8 }
  )

/** Since when partitions have had something to read. */
class Unread {
  /**
   * Somebody got on again behind what the others had come to. Those go by what they had come to together, other processes by
   * where each is: from then on it is only known that all get on.
   */
  isSomebodyBack = false
  private readonly waiting: Waiting
  private readonly logs: readonly Log[]
  /** Without a break; Infinity: there is nothing. */
  private readonly since: number[]
  /** When each last had something. */
  private readonly until: number[]

  constructor(waiting: Waiting, logs: readonly Log[]) {
    this.waiting = waiting
    this.logs = logs
    this.since = logs.map(() => Number.POSITIVE_INFINITY)
    this.until = logs.map(() => 0)
  }

  /** Whether all is read. Called at each tick. */
  look(): boolean {
    const { waiting, since } = this
    const { now, readers } = waiting
    for (const reader of readers) {
      const has = reader.position < reader.end(now)
      if (has) this.moves(reader)
      since[reader.partition] = has ? Math.min(since[reader.partition]!, now) : Number.POSITIVE_INFINITY
    }
    return readers.every(({ position }, i) => position === this.logs[i]!.records.length)
  }

  /** A partition has something to read, perhaps after a silence. */
  moves(reader: Reader): void {
    const { waiting, until } = this
    const most = Math.max(...waiting.readers.map(one => one.watermark()))
    const wasIdle = waiting.now - until[reader.partition]! > IDLE_MS - SLACK_MS
    this.isSomebodyBack ||= wasIdle && reader.watermark() < most - DRIFT_MS
    until[reader.partition] = waiting.now
  }

  /** Where the one stands that is furthest behind of those who have had something to read for a while. */
  get least(): number {
    const { waiting, since } = this
    const behind = waiting.readers.filter(({ partition }) => waiting.now - since[partition]! > SLACK_MS)
    return Math.min(...behind.map(one => one.watermark()))
  }
}

test("no partition is read on that is ahead of one which has had records to read for a while", () => {
  fc.assert(
    fc.property(logs(3, 2), all => {
      const waiting = new Waiting(all)
      const unread = new Unread(waiting, all)
      const end = Math.max(...all.flatMap(({ records }) => records.map(({ written }) => written))) + 60 * IDLE_MS
      waiting.run(
        () => unread.look() || waiting.now > end,
        reader => {
          unread.moves(reader)
          if (!unread.isSomebodyBack) expect(reader.watermark() - unread.least).toBeLessThanOrEqual(DRIFT_MS)
        }
      )
      // And all of them get to their end.
      expect(waiting.now).toBeLessThanOrEqual(end)
    }),
    { numRuns: 300 }
  )
})
