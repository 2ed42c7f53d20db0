/** Markers behind the last record are passed over, also in what is held back: which has nothing more to read then. */
import { expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Event } from "../src/lane/events.ts"
import type { Lane } from "../src/lane/lane.ts"
import { watchQuiet } from "../src/lane/quiet.ts"
import { LaneMetrics } from "../src/metrics.ts"
import type { ChangelogReader, Source } from "../src/ports/log.ts"

const POSITION = { topic: "t", partition: 0, offset: 5 }

interface Log {
  readonly isHeld: boolean
  /** As the client knows it, and as it was looked up. */
  readonly known?: number
  readonly end?: number
  /** Offsets of records behind the position, and where the log can be read to. */
  readonly records?: readonly number[]
  readonly stable: number
}

/** What is made of it within some looks. */
const watched = async ({ isHeld, known, end, records = [], stable }: Log) => {
  const offered: Event[] = []
  let reads = 0
  const metrics = new LaneMetrics()
  const lane: Pick<Lane, "positions" | "isHeldBack" | "endOf"> = {
    positions: () => [POSITION],
    isHeldBack: () => isHeld,
    endOf: () => end
  }
  const source: Pick<Source, "knownEnd"> = { knownEnd: () => known }
  const reader: Pick<ChangelogReader, "read"> = {
    read: (_, __, record) =>
      Effect.sync(() => {
        reads++
        const first = records.find(offset => !record(offset, new Uint8Array(0), 0, 0))
        return { start: 0, end: first === undefined ? stable : first + 1 }
      })
  }
  const parts = { lane: lane as Lane, source: source as Source, reader: reader as ChangelogReader, metrics }
  const looks = Effect.gen(function* () {
    const watching = yield* Effect.forkChild(watchQuiet(parts, event => void offered.push(event)))
    yield* TestClock.adjust("3500 millis")
    yield* Fiber.interrupt(watching)
  })
  await Effect.runPromise(Effect.provide(looks, TestClock.layer()))
  return { offered, reads, blocked: metrics.get("blocked") }
}

const passed = { type: "passed", position: POSITION, end: 7 } as const

test.each([
  ["that is read, by what the client knows", { isHeld: false, known: 7 }, 0],
  ["that is held back, by what was looked up: the client knows nothing", { isHeld: true, end: 7 }, 0],
  ["that is held back: what the client knows is nobody's to work off meanwhile", { isHeld: true, known: 6, end: 7 }, 1]
])("a partition %s, is taken past markers", async (_, log, blocked) => {
  const found = await watched({ ...log, stable: 7 })
  expect(found.offered[0]).toEqual(passed)
  expect(found.blocked).toBe(blocked)
})

test.each([
  ["is read", { isHeld: false, known: 7 }, 0],
  ["is held back", { isHeld: true, known: 7, end: 7 }, 2]
])(
  "one that %s and has a record to come is not, and is not read to find that out again and again",
  async (_, log, blocked) => {
    expect(await watched({ ...log, records: [6], stable: 7 })).toEqual({ offered: [], reads: 1, blocked })
  }
)

test("one whose next record is of a transaction that is open is looked at each time", async () => {
  expect(await watched({ isHeld: false, known: 7, stable: 5 })).toEqual({ offered: [], reads: 3, blocked: 2 })
})

test("one that is held back and is not known to go on is not looked at", async () => {
  expect(await watched({ isHeld: true, known: 5, stable: 7 })).toEqual({ offered: [], reads: 0, blocked: 0 })
})
