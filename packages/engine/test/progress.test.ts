import { expect, test } from "bun:test"
import { LaneMetrics } from "@headrace/engine"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { RestoreProgress } from "../src/recovery/progress.ts"

const MB = 1e6

test("says every two seconds how far a restore is, and shows it meanwhile", async () => {
  const lines: string[] = []
  const logger = Logger.make(({ message }) => void lines.push(String(message)))
  const metrics = new LaneMetrics()
  const all = new RestoreProgress(metrics)
  const shown = () => [metrics.get("restoringBytes"), metrics.get("restoringTotalBytes"), metrics.get("restoringMs")]
  const restore = all.during(part =>
    Effect.gen(function* () {
      part.checkpoint(80 * MB, 100)
      for (let i = 0; i < 8; i++) {
        part.put(10 * MB)
        yield* TestClock.adjust("500 millis")
        yield* part.breathe
      }
      expect(shown()).toEqual([80 * MB, 80 * MB, 4_000])
      part.changelog(100, 110)
      // Two offsets a record: its transaction's marker.
      part.put(1 * MB, 102)
      yield* part.breathe
      expect(shown()).toEqual([81 * MB, 85 * MB, 4_000])
    })
  )
  await Effect.runPromise(Effect.provide(restore, [TestClock.layer(), Logger.layer([logger])]))
  expect(lines).toEqual([
    "restoring 1 partition: 50 % of 80.0 MB, 20.0 MB/s, 2 s left",
    // What comes of the changelog is not known.
    "restoring 1 partition: 99 % of 80.0 MB, 20.0 MB/s, 1 s left"
  ])
  expect(shown()).toEqual([0, 0, 0])
})

test("what was put back of a damaged checkpoint counts no more, and partitions that are done do while others are not", async () => {
  const metrics = new LaneMetrics()
  const all = new RestoreProgress(metrics)
  const one = all.during(part =>
    Effect.sync(() => {
      part.checkpoint(10, 0)
      part.put(10)
    })
  )
  const other = all.during(part =>
    Effect.gen(function* () {
      yield* one
      part.checkpoint(100, 0)
      part.put(60)
      part.checkpoint(50, 0)
      part.put(20)
      yield* part.breathe
      expect([metrics.get("restoringBytes"), metrics.get("restoringTotalBytes")]).toEqual([30, 60])
    })
  )
  await Effect.runPromise(other)
})

test("what is under way is named, and how far it is grows with each thing that comes of it", async () => {
  const all = new RestoreProgress(new LaneMetrics())
  const partition = { topic: "orders", partition: 3 }
  const seen: number[] = []
  const see = () => void seen.push(...all.under.map(one => one.at))
  const restore = all.during(
    part =>
      Effect.sync(() => {
        // It waits for its turn.
        expect(all.under).toEqual([])
        part.begin()
        expect(all.under).toEqual([{ ...partition, at: 1 }])
        for (const comes of [
          () => part.checkpoint(9, 1),
          () => part.put(9),
          () => part.changelog(1, 2),
          () => part.put(1, 2)
        ]) {
          see()
          comes()
        }
      }),
    partition
  )
  await Effect.runPromise(restore)
  await Effect.runPromise(all.during(() => Effect.sync(see)))
  expect(seen).toEqual([1, 2, 3, 4])
  expect(all.under).toEqual([])
})

/** What is said while this runs, and what it comes to. */
const listening = async (run: Effect.Effect<unknown, unknown>): Promise<readonly string[]> => {
  const lines: string[] = []
  const logger = Logger.make(({ message }) => void lines.push(String(message)))
  await Effect.runPromise(Effect.provide(run, [TestClock.layer(), Logger.layer([logger])]))
  return lines
}

test("the changelog is part of the whole while the checkpoint is put back", async () => {
  const metrics = new LaneMetrics()
  const restore = new RestoreProgress(metrics).during(part =>
    Effect.gen(function* () {
      part.written(2_100)
      part.checkpoint(4.096 * MB, 1_100)
      part.put(4.096 * MB)
      yield* TestClock.adjust("2 seconds")
      yield* part.breathe
      part.changelog(1_100, 2_100)
      yield* TestClock.adjust("2 seconds")
      yield* part.breathe
    })
  )
  expect(await listening(restore)).toEqual([
    "restoring 1 partition: 50 % of 8.2 MB, 2.0 MB/s, 2 s left",
    "restoring 1 partition: 50 % of 8.2 MB, 1.0 MB/s, 4 s left"
  ])
})

test("partitions that wait for their turn count as one like the others, also after an attempt that failed", async () => {
  const all = new RestoreProgress(new LaneMetrics())
  const waiting = all.during(() => Effect.never)
  const failed = all.during(part =>
    Effect.suspend(() => {
      part.checkpoint(100 * MB, 0)
      part.put(50 * MB)
      part.wait()
      return Effect.never
    })
  )
  const run = Effect.gen(function* () {
    yield* Effect.forkScoped(waiting)
    yield* Effect.forkScoped(failed)
    const one = all.during(part =>
      Effect.gen(function* () {
        yield* TestClock.adjust("2 seconds")
        // Nothing is known yet, nor how long it takes.
        yield* part.breathe
        part.written(0)
        part.checkpoint(10 * MB, 0)
        part.put(5 * MB)
        yield* TestClock.adjust("3 seconds")
        yield* part.breathe
        part.put(5 * MB)
        part.changelog(0, 0)
        yield* TestClock.adjust("5 seconds")
        yield* part.breathe
      })
    )
    yield* one
    const other = all.during(part =>
      Effect.gen(function* () {
        part.written(0)
        part.checkpoint(10 * MB, 0)
        part.put(10 * MB)
        yield* TestClock.adjust("10 seconds")
        yield* part.breathe
      })
    )
    yield* other
  }).pipe(Effect.scoped)
  expect(await listening(run)).toEqual([
    "restoring 3 partitions: 0 % of 0.0 MB, 0.0 MB/s",
    "restoring 3 partitions: 16 % of 30.0 MB, 1.0 MB/s, 25 s left",
    "restoring 3 partitions: 33 % of 30.0 MB, 1.0 MB/s, 20 s left",
    "restoring 3 partitions: 50 % of 40.0 MB, 1.0 MB/s, 20 s left"
  ])
})
