/** A job that is started again as another version of itself, on the state that it has. */
import { expect, test } from "bun:test"
import { LogError, Outputs } from "@headrace/engine"
import { Schema } from "effect"
import { Agg, Evictor, Pipeline, Sink, Source, State, toPlan, Window } from "headrace"
import { makeTask, type Task } from "../src/engine.ts"
import { chainParts } from "../src/parts.ts"
import { EventSchema, SOURCE } from "../src/pipelines.ts"
import { batchOf } from "./bench.ts"
import { Recovery } from "./recovery.ts"

const Totals = Schema.Struct({
  key: Schema.String,
  windowStart: Schema.Int,
  windowEnd: Schema.Int,
  total: Schema.Int,
  n: Schema.Int
})
const Seen = Schema.Struct({ at: Schema.Int, cents: Schema.Int })
type Event = typeof EventSchema.Type

const keyed = () =>
  Pipeline.make("sim")
    .from(Source.kafka(SOURCE, EventSchema, { eventTime: one => one.at, key: "account" }))
    .keyBy(one => one.account)

/** What it keeps of each account, `seen` by the name of `last`. */
const processing = <S extends Schema.Codec<object, unknown>>(schema: S, seen: (event: Event) => S["Type"]) =>
  keyed()
    .process("seen", {
      emits: EventSchema,
      state: { last: State.value<S["Type"]>(schema) },
      onRecord: (event, { state }) => state.last.set(seen(event))
    })
    .to(Sink.kafka("seen", EventSchema))

const windows = (sizeMs: number) =>
  keyed()
    .window(Window.tumbling(sizeMs, { id: "totals" }), { total: Agg.sum(event => event.cents), n: Agg.count() })
    .to(Sink.kafka("totals", Totals))

const evicted = (evictor: Evictor.Evictor<Event>) =>
  keyed()
    .window(Window.tumbling(1_000, { id: "totals", evictor }), { total: Agg.sum(event => event.cents), n: Agg.count() })
    .to(Sink.kafka("totals", Totals))

const joined = (right: Schema.Codec<object, unknown>) => {
  const events = keyed()
  return events
    .windowJoin(events.as(right as typeof EventSchema), Window.tumbling(1_000), { id: "joined" }, left => left)
    .to(Sink.kafka("joined", EventSchema))
}

const sketched = <B>(window: Window.Windowing<Event>, sketch: Agg.Agg<Event, B>) =>
  keyed()
    .window(window, { sketch })
    .map(({ key }) => ({ key }))
    .to(Sink.kafka("sketch", Schema.Struct({ key: Schema.String })))

type Built = Parameters<typeof toPlan>[0]

const taskOf = (recovery: Recovery, pipeline: Built): Task => {
  const outputs = new Outputs()
  const parts = chainParts(toPlan(pipeline), recovery.world, recovery, () => {})
  return makeTask(parts, recovery.input, () => outputs)
}

/** A transaction of one record by this pipeline, and perhaps a checkpoint. */
const run = (pipeline: Built, checkpointed: boolean): Recovery => {
  const recovery = new Recovery()
  const task = taskOf(recovery, pipeline)
  task.start({ offset: 0, committed: 0 })
  task.process(batchOf([{ id: 1, account: "a", cents: 7, at: 1_000 }], 0), 0, 1)
  recovery.commitOf(task, 1)
  if (checkpointed) recovery.checkpoint()
  return recovery
}

const before = () => processing(Seen, ({ at, cents }) => ({ at, cents }))
const changed: readonly [string, Built, Built, string][] = [
  [
    "a field of another type",
    before(),
    processing(Schema.Struct({ at: Schema.Int, cents: Schema.String }), ({ at }) => ({ at, cents: "7" })),
    "  seen, state last .cents\n    was:  integer\n    is:   string\n"
  ],
  [
    // Old bytes would be read: it is not for a restart to say that they mean the same.
    "a field more that may be missing",
    before(),
    processing(
      Schema.Struct({ at: Schema.Int, cents: Schema.Int, note: Schema.optionalKey(Schema.String) }),
      ({ at, cents }) => ({ at, cents })
    ),
    "is:   last: value of { at: integer, cents: integer, note?: string }\n"
  ],
  [
    "windows of another size",
    windows(1_000),
    windows(2_000),
    "totals, the window's size\n    was:  1000 ms\n    is:   2000 ms\n"
  ],
  [
    "an evictor that looks at the records, which are kept whole for it",
    evicted(Evictor.last(5)),
    evicted(Evictor.ofRecords("dear ones", all => all.filter(({ record }) => record.cents > 5))),
    ", of records kept whole\n"
  ],
  [
    "a window join whose right side keeps another record",
    joined(Seen),
    joined(Schema.Struct({ at: Schema.Int, cents: Schema.Int, account: Schema.String })),
    "joined, state elements .right.account\n    was:  missing\n    is:   string\n"
  ],
  [
    "sessions of another aggregate of one's own",
    sketched(
      Window.session(1_000, { id: "sketch" }),
      Agg.first(event => event.account, Schema.String)
    ),
    sketched(
      Window.session(1_000, { id: "sketch" }),
      Agg.approximateDistinctCount(event => event.account)
    ),
    "sketch, state windows"
  ],
  [
    "a window that slides, with an approximate count in place of an exact one",
    sketched(
      Window.sliding(1_000, 500, { id: "sketch" }),
      Agg.distinctCount(event => event.account)
    ),
    sketched(
      Window.sliding(1_000, 500, { id: "sketch" }),
      Agg.approximateDistinctCount(event => event.account)
    ),
    "sketch, aggregate sketch"
  ],
  [
    "a list of something else",
    sketched(
      Window.tumbling(1_000, { id: "sketch" }),
      Agg.collect(event => event.cents, Schema.Int)
    ),
    sketched(
      Window.tumbling(1_000, { id: "sketch" }),
      Agg.collect(event => event.account, Schema.String)
    ),
    "sketch, state elements"
  ]
]

for (const checkpointed of [false, true])
  test.each(changed)(
    `%s is refused with what was, what is and what to do, ${checkpointed ? "from a checkpoint" : "from the changelog"}`,
    (_, was, is, diff) => {
      const recovery = run(was, checkpointed)
      expect(recovery.restoreInto(taskOf(recovery, was))).toBe(1)
      const error = recovery.restoreInto(taskOf(recovery, is))
      if (!(error instanceof LogError)) throw new Error(`It went on from ${error}`)
      expect(error.failure).toBe("Stop")
      expect(error.message).toContain(diff)
      expect(error.message).toContain("headrace savepoint create")
    }
  )

test.each([false, true])("who follows it says so, and goes on (checkpoint: %p)", checkpointed => {
  const [, was, is] = changed[0]!
  const recovery = run(was, checkpointed)
  const follower = recovery.followerOf(() => taskOf(recovery, is))
  expect(follower.look()).toBeUndefined()
  expect(["toFollow", "followed", "looks"].map(name => follower.gauges.get(name as "looks"))).toEqual([1, 0, 1])
  expect(recovery.warned).toEqual([expect.stringMatching(/^Standby for events\/0: .*is not what the pipeline keeps/)])
})
