/** How far a table is behind: of what is taken up, of what is still to be, and of what is taken away meanwhile. */
import { expect, test } from "bun:test"
import { LaneMetrics, LogError } from "@headrace/engine"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Holdings } from "../src/holdings.ts"
import { Intake } from "../src/intake.ts"
import { watchLag } from "../src/lag.ts"
import type { Reader } from "../src/reader.ts"
import { MemoryMember, MemoryTopic } from "./memory-log.ts"

const TOPIC = "events"
const START = { open: undefined }

/** A topic of three partitions with ten, twenty and thirty offsets. */
const topicOf = () => {
  const topic = new MemoryTopic(TOPIC, 3)
  for (const partition of [0, 1, 2]) topic.gap(partition, (partition + 1) * 10)
  return topic
}

/** What the gauge says after each step. */
const lags = async (topic: MemoryTopic, member: MemoryMember, steps: readonly ((holdings: Holdings) => void)[]) => {
  const metrics = new LaneMetrics()
  const holdings = new Holdings(new Intake(() => {}, 1_000, 1_000), metrics)
  const reader: Pick<Reader, "onLog"> = { onLog: call => call }
  const watching = watchLag({ topic: topic.name, log: member, metrics, holdings, reader: reader as Reader })
  const said: number[] = []
  const looks = Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(watching)
    for (const step of steps) {
      step(holdings)
      yield* TestClock.adjust("1 second")
      said.push(metrics.get("lag"))
    }
    yield* Fiber.interrupt(fiber)
  })
  await Effect.runPromise(Effect.provide(looks, TestClock.layer()))
  return said
}

test("one that was given counts by what the group has of it, or by all that the log has, until it is taken up", async () => {
  const topic = topicOf()
  topic.committed.set(0, { topic: TOPIC, partition: 0, offset: 4, metadata: "" })
  topic.deleteBefore(1, 5)
  const found = await lags(topic, new MemoryMember(topic, []), [
    holdings => holdings.give([0], "assign"),
    holdings => holdings.give([1], "assign"),
    // The ledger knows more than the group had heard.
    holdings => holdings.own([{ ...START, partition: 0, offset: 9 }]),
    holdings => holdings.reached(0, 10),
    holdings => holdings.forget(1)
  ])
  expect(found).toEqual([6, 21, 16, 15, 0])
})

test("one that begins anew counts on, and one that is taken away while it is asked for does not", async () => {
  const topic = topicOf()
  const member = new MemoryMember(topic, [])
  let away: Holdings | undefined
  const ends = member.ends
  const watched = Object.assign(member, {
    ends: (...[places]: Parameters<typeof ends>) => Effect.tap(ends(places), () => Effect.sync(() => away?.forget(2)))
  })
  const found = await lags(topic, watched, [
    holdings => holdings.own([1, 2].map(partition => ({ ...START, partition, offset: 15 }))),
    holdings => {
      topic.committed.set(1, { topic: TOPIC, partition: 1, offset: 12, metadata: "" })
      holdings.abandon([{ partition: 1, first: 12, last: 14, rows: 3 }])
    },
    holdings => {
      away = holdings
    }
  ])
  expect(found).toEqual([20, 23, 8])
})

test("while the log cannot be asked the figure stands", async () => {
  const topic = topicOf()
  const member = new MemoryMember(topic, [])
  let isAway = false
  const committed = member.committed
  const watched = Object.assign(member, {
    committed: (...[places]: Parameters<typeof committed>) =>
      isAway ? Effect.fail(new LogError("Retry", "the coordinator is away")) : committed(places)
  })
  const found = await lags(topic, watched, [
    holdings => holdings.give([2], "assign"),
    () => {
      isAway = true
      topic.gap(2, 10)
    },
    () => {
      isAway = false
    }
  ])
  expect(found).toEqual([30, 30, 40])
})
