/** One partition that stands still beside others that go on is named, with the reason. */
import { expect, test } from "bun:test"
import { Blobs, type Producer } from "@headrace/engine"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type LaneParts, runLane } from "../src/lane/interpreter.ts"
import { type Busy, Standing } from "../src/lane/standing.ts"
import { LaneMetrics, STANDING, type StandingWhy } from "../src/metrics.ts"
import type { Position } from "../src/ports/log.ts"

const TOPICS = ["orders", "customers"]

const shownBy = (metrics: LaneMetrics) => ({
  ms: metrics.get("standingMs"),
  why: STANDING[metrics.get("standingWhy")],
  at: `${TOPICS[metrics.get("standingSource")]}/${metrics.get("standingPartition")}`
})

const busy = (topic: string, at: number, why: StandingWhy = "unread"): Busy => ({ topic, partition: 3, at, why })

test("the one that has stood still for longest is named, until it moves or has nothing more to do", () => {
  const metrics = new LaneMetrics()
  const standing = new Standing(metrics, TOPICS)
  const look = (now: number, ...all: readonly Busy[]) => {
    standing.look(all, now)
    return shownBy(metrics)
  }
  look(0, busy("orders", 7))
  look(10, busy("orders", 7), busy("customers", 1))
  expect(look(30, busy("customers", 1), busy("orders", 7))).toEqual({ ms: 30, why: "unread", at: "orders/3" })
  // What is found out about it later is true of all the time.
  expect(look(40, busy("orders", 7, "undecided"))).toEqual({ ms: 40, why: "undecided", at: "orders/3" })
  look(50, busy("orders", 8), busy("customers", 1))
  expect(look(60, busy("orders", 8), busy("customers", 1))).toEqual({ ms: 10, why: "unread", at: "orders/3" })
  expect(look(70).ms).toBe(0)
  expect(look(80, busy("orders", 8)).ms).toBe(0)
})

test("where a restore stands says nothing of where its partition does afterwards", () => {
  const metrics = new LaneMetrics()
  const standing = new Standing(metrics, TOPICS)
  for (const [now, why] of [
    [0, "restore"],
    [10, "restore"],
    [20, "unread"]
  ] as const) {
    standing.look([busy("orders", 5, why)], now)
    expect(metrics.get("standingMs")).toBe(now === 20 ? 0 : now)
  }
})

/** What a lane shows after a minute in which the first partition goes on and the second one does not move from 5. */
const afterAMinute = async (held: boolean, undecided: boolean, restoring = false) => {
  const metrics = new LaneMetrics()
  let moving = 0
  const positions = (): readonly Position[] => [
    { topic: "orders", partition: 0, offset: moving++ },
    { topic: "customers", partition: 1, offset: 5 }
  ]
  const parts = {
    lane: { ended: false, inFlight: 0, positions, isHeldBack: () => held, endOf: () => 9, step: () => [] },
    source: { knownEnd: () => 9, ends: (all: readonly Position[]) => Effect.succeed(all.map(() => 9)) },
    reader: {
      read: (_: unknown, __: unknown, record: (offset: number) => boolean) =>
        Effect.sync(() => {
          if (!undecided) record(6)
          return { start: 0, end: undecided ? 5 : 7 }
        })
    },
    producers: [{} as Producer, {} as Producer],
    metrics,
    topics: TOPICS,
    progress: { under: restoring ? [{ topic: "orders", partition: 2, at: 1 }] : [] },
    say: () => {},
    restoreConcurrency: 1
  } as unknown as LaneParts
  const minute = Effect.gen(function* () {
    const lane = yield* Effect.forkChild(runLane(parts, () => {}))
    yield* TestClock.adjust("60 seconds")
    yield* Fiber.interrupt(lane)
  })
  await Effect.runPromise(minute.pipe(Effect.provideService(Blobs, {} as never), Effect.provide(TestClock.layer())))
  return { ...shownBy(metrics), blocked: metrics.get("blocked") }
}

test("a partition whose records nobody reads is named", async () => {
  expect(await afterAMinute(false, false)).toEqual({ ms: 60_000, why: "unread", at: "customers/1", blocked: 0 })
})

test("a partition in whose topic a transaction is not decided is named as such", async () => {
  expect(await afterAMinute(false, true)).toEqual({ ms: 60_000, why: "undecided", at: "customers/1", blocked: 4 })
})

test("a partition that waits for others is not, but one whose state does not come back is", async () => {
  expect((await afterAMinute(true, false)).ms).toBe(0)
  expect(await afterAMinute(true, false, true)).toMatchObject({ ms: 60_000, why: "restore", at: "orders/2" })
})
