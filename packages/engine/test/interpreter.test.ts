import { expect, test } from "bun:test"
import { Blobs, type Producer } from "@headrace/engine"
import { Deferred, Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Event } from "../src/lane/events.ts"
import { type LaneHandle, type LaneParts, runLane } from "../src/lane/interpreter.ts"
import { LaneMetrics } from "../src/metrics.ts"
import { LogError } from "../src/ports/log.ts"
import { type PartitionProgress, RestoreProgress } from "../src/recovery/progress.ts"
import type { Task } from "../src/task/task.ts"

/** More than the event queue holds. */
const FINISHED = 1_000

test("asynchronous steps that finish in one turn are taken up by one event, and later ones by another", async () => {
  const seen: Event["type"][] = []
  const again = Deferred.makeUnsafe<void>()
  const lane = {
    get ended() {
      return seen.at(-1) === "stop"
    },
    positions: () => [],
    step: (event: Event) => {
      seen.push(event.type)
      if (event.type === "released") Deferred.doneUnsafe(again, Effect.void)
      return []
    }
  }
  const unused = {} as Producer
  const parts = {
    lane,
    source: {},
    producers: [unused, unused],
    metrics: new LaneMetrics(),
    progress: { under: [] },
    say: () => {},
    restoreConcurrency: 1
  } as unknown as LaneParts
  let handle: LaneHandle | undefined
  const running = Effect.runPromise(
    runLane(parts, attached => {
      handle = attached
    }).pipe(Effect.provideService(Blobs, {} as never))
  )
  for (let i = 0; i < FINISHED; i++) handle!.offer({ type: "released" })
  await Effect.runPromise(Deferred.await(again))
  handle!.offer({ type: "released" })
  handle!.offer({ type: "stop" })
  await running
  expect(seen).toEqual(["start", "released", "released", "stop"])
})

test("more answers at once than the event queue holds fail the lane instead of leaving it to wait", async () => {
  const lane = {
    ended: false,
    positions: () => [],
    step: () => Array.from({ length: 100 }, () => ({ type: "flush", turn: 0 }))
  }
  const producer = { flush: () => Effect.void } as unknown as Producer
  const parts = {
    lane,
    source: {},
    producers: [producer, producer],
    metrics: new LaneMetrics(),
    progress: { under: [] },
    say: () => {},
    restoreConcurrency: 1
  } as unknown as LaneParts
  const run = runLane(parts, () => {}).pipe(Effect.provideService(Blobs, {} as never))
  const exit = await Effect.runPromise(Effect.exit(run))
  expect(String(exit)).toContain("The lane's event queue is full at flushed")
})

const LOST = { topic: "events", partition: 0 } as Task
const OTHER = { topic: "events", partition: 1 } as Task

test("a restore that fails is tried again behind the others, and the lane hears of its success only", async () => {
  const seen: string[] = []
  const attempts: Task[] = []
  const lane = {
    get ended() {
      return seen.length === 3
    },
    positions: () => [],
    step: (event: Event) => {
      seen.push(event.type === "restored" ? `${event.type} ${event.task.partition}` : event.type)
      return event.type === "start" ? [LOST, OTHER].map(task => ({ type: "restore", task })) : []
    }
  }
  const metrics = new LaneMetrics()
  const totals: number[] = []
  const restore = (task: Task, part: PartitionProgress) =>
    Effect.gen(function* () {
      attempts.push(task)
      part.written(0)
      part.checkpoint(100, 0)
      yield* part.breathe
      yield* part.breathe
      totals.push(metrics.get("restoringTotalBytes"))
      if (attempts.length === 1) yield* Effect.fail(new LogError("Retry", "the store is away"))
      part.put(100)
      return { topic: task.topic, partition: task.partition, offset: 0, committed: 0 }
    })
  const parts = {
    lane,
    source: {},
    metrics,
    progress: new RestoreProgress(metrics),
    say: () => {},
    restore,
    restoreConcurrency: 1
  } as unknown as LaneParts
  const running = Effect.gen(function* () {
    yield* Effect.forkScoped(runLane(parts, () => {}).pipe(Effect.provideService(Blobs, {} as never)))
    while (seen.length < 3) yield* TestClock.adjust("100 millis")
  }).pipe(Effect.scoped)
  await Effect.runPromise(Effect.provide(running, TestClock.layer()))
  expect(seen).toEqual(["start", "restored 1", "restored 0"])
  expect(attempts).toEqual([LOST, OTHER, LOST])
  // Each time the other one counts too, which waits for its turn, or to begin again, or is done.
  expect(totals).toEqual([200, 200, 200])
})
