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
      part.checkpoint(80 * MB)
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
    "restoring 1 partition: 100 % of 80.0 MB, 20.0 MB/s, 0 s left"
  ])
  expect(shown()).toEqual([0, 0, 0])
})

test("what was put back of a damaged checkpoint counts no more, and partitions that are done do while others are not", async () => {
  const metrics = new LaneMetrics()
  const all = new RestoreProgress(metrics)
  const one = all.during(part =>
    Effect.sync(() => {
      part.checkpoint(10)
      part.put(10)
    })
  )
  const other = all.during(part =>
    Effect.gen(function* () {
      yield* one
      part.checkpoint(100)
      part.put(60)
      part.checkpoint(50)
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
        expect(all.under).toEqual([{ ...partition, at: 0 }])
        for (const comes of [
          () => part.checkpoint(9),
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
  expect(seen).toEqual([0, 1, 2, 3])
  expect(all.under).toEqual([])
})
