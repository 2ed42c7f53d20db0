/** Partitions that run ahead of others in event time are not read until these have followed. */
import { expect, test } from "bun:test"
import { alignmentGroups, GroupClocks } from "@headrace/engine"
import { explain, Pipeline, Sink, Source, toPlan } from "headrace"
import { EventSchema, SOURCE } from "../src/pipelines.ts"
import { Bench } from "./bench.ts"

const IDLE_MS = 100
const TRANSACTION = ["produce", "flush", "sendOffsets", "commit"] as const
const event = (id: number, at: number) => ({ id, account: "a", cents: 1, at })
const plan = toPlan(
  Pipeline.make("sim")
    .from(
      Source.kafka(SOURCE, EventSchema, {
        eventTime: one => one.at,
        idleTimeout: IDLE_MS,
        alignment: { maxDrift: "1 second" }
      })
    )
    .to(Sink.kafka("copies", EventSchema))
)

/** A lane that runs with two partitions. */
const two = (clocks?: SharedArrayBuffer): Bench => {
  const bench = new Bench(plan, undefined, clocks).run()
  bench.assign(1)
  bench.settle(["take", "restore", "seek"])
  return bench
}

/** Answers polls with nothing until those without records are idle. */
const silence = (bench: Bench): void => {
  bench.feed([])
  bench.now += IDLE_MS + 1
  bench.feed([])
}

const heldBack = (bench: Bench): number => bench.metrics.get("heldBack")

test("one that is ahead by more than the drift is paused, and goes on where it stood once the other has followed", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  expect(bench.waits("pause")).toBe(true)
  bench.settle(["pause", ...TRANSACTION])
  bench.feed([event(2, 8_999)], 1)
  expect(heldBack(bench)).toBe(1)
  expect(bench.waits("seek")).toBe(false)
  bench.feed([event(3, 9_000)], 1)
  expect(heldBack(bench)).toBe(0)
  expect(bench.waiting("seek").positions).toEqual([{ topic: SOURCE, partition: 0, offset: 1 }])
})

test("nothing is asked for while the pause is under way, and records that a poll still brings are processed", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.feed([event(2, 10_500)])
  bench.feed([event(3, 10_400)], 1)
  expect(bench.waits("seek")).toBe(false)
  bench.answer("pause")
  bench.feed([])
  expect(bench.waiting("seek").positions).toEqual([{ topic: SOURCE, partition: 0, offset: 2 }])
})

test("one without records is not waited for after its idle time-out; one that is paused is not idle", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  silence(bench)
  expect(bench.waiting("seek").positions).toEqual([{ topic: SOURCE, partition: 0, offset: 1 }])
  bench.settle(["seek"])
  // The other one is back, and behind: what they had come to does not go on without it.
  bench.feed([event(2, 12_000)])
  bench.feed([event(3, 10_000)], 1)
  expect(bench.waits("pause")).toBe(false)
  bench.feed([event(4, 13_001)])
  expect(bench.waiting("pause").tasks.map(task => task.partition)).toEqual([0])
  bench.settle(["pause"])
  silence(bench)
  bench.settle(["seek"])
  // The one that was paused held its own clock meanwhile: the other is now ahead of it.
  bench.feed([event(5, 15_000)], 1)
  expect(bench.waiting("pause").tasks.map(task => task.partition)).toEqual([1])
})

test("a partition that is paused is given back as any other, and nobody waits for it any more", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  bench.change("revoke", [0])
  bench.settle([...TRANSACTION, "unassign"])
  bench.feed([event(2, 20_000)], 1)
  expect(bench.waits("pause")).toBe(false)
  expect(heldBack(bench)).toBe(0)
})

test("after a failure state comes back to what is paused, too, and it is read again", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  bench.feed([event(2, 8_000)], 1)
  bench.now += 60
  bench.answer("poll")
  bench.settle(["produce", "flush", "sendOffsets"])
  bench.fail("commit", "Unknown")
  bench.answer("poll")
  // Of the two only one is read.
  expect(bench.waiting("pause").tasks.map(task => task.partition)).toEqual([1])
  bench.settle(["pause", "initialise", "restore"])
  const read = bench.under.flatMap(command => (command.type === "seek" ? command.positions : []))
  expect(read.map(one => one.partition).toSorted()).toEqual([0, 1])
})

test("where a job comes to rest, event time ends in what is paused, too", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  bench.step({ type: "halt", halt: { number: 1, drain: true } })
  bench.now += 60
  bench.answer("poll")
  bench.settle(["pause", ...TRANSACTION])
  expect(bench.metrics.get("halted")).toBe(2)
  bench.step({ type: "stop" })
  bench.settle(["poll", "close"])
  expect(bench.asked.at(-1)).toBe("close")
})

test("lanes of a process wait for each other, but not for one that has fallen silent", () => {
  const clocks = GroupClocks.bufferOf(alignmentGroups(plan).length, 2)
  const other = new GroupClocks(1, 1, clocks)
  const bench = new Bench(plan, undefined, clocks).run()
  other.say(0, 5_000, bench.wallClock)
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  expect(heldBack(bench)).toBe(1)
  bench.wallClock += 4_999
  bench.feed([])
  expect(heldBack(bench)).toBe(1)
  other.say(0, 9_000, bench.wallClock)
  bench.feed([])
  expect(bench.waits("seek")).toBe(true)
  bench.settle(["seek"])
  bench.feed([event(2, 20_000)])
  bench.settle(["pause", ...TRANSACTION])
  bench.wallClock += 5_001
  bench.feed([])
  expect(bench.waits("seek")).toBe(true)
})

test("explain says which sources wait for each other", () => {
  expect(explain(plan)).toContain("at most 1s ahead of others in the alignment group default")
})

test("how far a lane's partitions are apart is in its metrics", () => {
  const bench = two()
  const apart = () => [bench.metrics.get("watermarkBehind"), bench.metrics.get("watermarkAhead")]
  const commit = () => {
    bench.now += 10_000
    bench.feed([])
    bench.settle(TRANSACTION)
  }
  expect(apart()).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
  bench.feed([event(1, 5_000)])
  commit()
  expect(apart()).toEqual([4_999, 4_999])
  bench.feed([event(2, 5_700)], 1)
  commit()
  expect(apart()).toEqual([4_999, 5_699])
})
