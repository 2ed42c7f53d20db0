/** What patterns give up of what they had under way stands in the metrics of the lane. */
import { expect, test } from "bun:test"
import { Outputs } from "@headrace/engine"
import { Pattern, Pipeline, Sink, Source, toPlan } from "headrace"
import { makeTask } from "../src/engine.ts"
import { chainParts } from "../src/parts.ts"
import { EventSchema, SOURCE } from "../src/pipelines.ts"
import { batchOf } from "./bench.ts"
import { Recovery } from "./recovery.ts"

type Event = typeof EventSchema.Type

/** Looks for two events of an account within a second, of which there are none; by a pattern of this name. */
const pipeline = (id: string) => {
  const pair = Pattern.begin("first", (event: Event) => event.cents === 1)
    .followedBy("second", event => event.cents === 0)
    .within("1 second")
  return Pipeline.make("sim")
    .from(Source.kafka(SOURCE, EventSchema, { eventTime: one => one.at, key: "account" }))
    .keyBy(one => one.account)
    .matchAll("pairs", [Pattern.select(id, pair, { select: ({ first }) => first[0]! })], { maxPartials: 2 })
    .to(Sink.kafka("pairs", EventSchema))
}

const partOf = (recovery: Recovery, built: Parameters<typeof toPlan>[0]) => {
  const outputs = new Outputs()
  const parts = chainParts(toPlan(built), recovery.world, recovery, () => {})
  const task = makeTask(parts, recovery.input, () => outputs)
  const counts = () =>
    (["partialsTimedOut", "partialsOverflowed", "partialsDropped"] as const).map(name => parts.metrics.get(name))
  return { task, counts }
}
const event = (id: number, account: string, at: number): Event => ({ id, account, cents: 1, at })

test("what timed out though nobody reads it, what was too much, and what was of a pattern that is gone", () => {
  const recovery = new Recovery()
  const { task, counts } = partOf(recovery, pipeline("before"))
  task.start({ offset: 0, committed: 0 })
  const events = [
    event(1, "a", 1_000),
    event(2, "b", 1_500),
    event(3, "b", 1_600),
    event(4, "b", 1_700),
    event(5, "c", 2_200)
  ]
  task.process(batchOf(events, 0), 0, events.length)
  while (task.pending()) task.proceed(1)
  recovery.commitOf(task, events.length)
  expect(counts()).toEqual([1, 1, 0])

  const after = partOf(recovery, pipeline("after"))
  expect(recovery.restoreInto(after.task)).toBe(events.length)
  after.task.start({ offset: events.length, committed: events.length })
  after.task.process(batchOf([event(6, "b", 2_300), event(7, "c", 2_400)], events.length), 0, 2)
  while (after.task.pending()) after.task.proceed(1)
  recovery.commitOf(after.task, events.length + 2)
  expect(after.counts()).toEqual([0, 0, 2])
})
