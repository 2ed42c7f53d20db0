import { type Effect, Schema } from "effect"
import { Agg, DeadLetter, Pattern, Patterns, Pipeline, type Plan, Sink, Source, State, toPlan, Window } from "headrace"
import type { Event } from "./codec.ts"

export const SOURCE = "events"
/** Of the shape that joins two. */
const OTHERS = "others"
export const OUT_OF_ORDERNESS_MS = 1_000
export const WINDOW_MS = 2_000
export const LATENESS_MS = 500
/** In processing time. */
const WAIT_MS = 40

const fields = { id: Schema.Int, account: Schema.String, cents: Schema.Int, at: Schema.Int }
export const EventSchema = Schema.Struct(fields)
const Tagged = Schema.Struct({ ...fields, tag: Schema.Int })
const Part = Schema.Struct({ ...fields, part: Schema.Int })
const Scored = Schema.Struct({ ...fields, score: Schema.Int })
const total = { key: Schema.String, windowStart: Schema.Int, windowEnd: Schema.Int, total: Schema.Int, n: Schema.Int }
const Total = Schema.Struct(total)
const Pair = Schema.Struct({ group: Schema.String, left: Schema.Int, right: Schema.Int })
const Rated = Schema.Struct({ ...total, score: Schema.Int })

/** What a flatMap makes of each event. */
export const PARTS = [0, 1] as const

export const tagOf = (event: { readonly cents: number }): number => event.cents % 10
export const scoreOf = (cents: number): number => cents % 97
/** What the windows are about. */
export const counts = (event: { readonly cents: number }): boolean => event.cents % 4 !== 0

/** The asynchronous step's call; the simulation decides when it is answered. */
export type Ask = <A extends object>(record: A, result: () => object) => Effect.Effect<object>

const source = (topic = SOURCE, options: Source.KafkaOptions<Event> = {}) =>
  Source.kafka(topic, EventSchema, {
    ...options,
    eventTime: event => event.at,
    outOfOrderness: OUT_OF_ORDERNESS_MS,
    key: "account",
    onDecodeError: DeadLetter.to("dead")
  })
const window = () => Window.tumbling(WINDOW_MS, { allowedLateness: LATENESS_MS })
const sums = { total: Agg.sum((event: Event) => event.cents), n: Agg.count() }
const late = { late: Sink.kafka("late", EventSchema) }

/** Synchronous: 1:1 with an added field, and beside it filter, key, window, late events. */
const plain = () => {
  const events = Pipeline.make("sim").from(source())
  return Pipeline.all(
    events.extend({ tag: tagOf }).to(Sink.kafka("tagged", Tagged)),
    events
      .filter(counts)
      .keyBy(event => event.account)
      .window(window(), sums, late)
      .to(Sink.kafka("totals", Total))
  )
}

const score = (ask: Ask) => (event: Event) =>
  ask(event, () => ({ ...event, score: scoreOf(event.cents) })) as Effect.Effect<Event & { score: number }>

/** An asynchronous step before everything else: a commit covers the finished prefix. */
const prefix = (ask: Ask) => {
  const scored = Pipeline.make("sim")
    .from(source())
    .keyBy(event => event.account)
    .mapEffect(score(ask), { concurrency: 3 })
  return Pipeline.all(
    scored.to(Sink.kafka("scored", Scored)),
    scored.filter(counts).window(window(), sums, late).to(Sink.kafka("totals", Total))
  )
}

/** An asynchronous step beside a synchronous branch and a window, keyed before they part. */
const beside = (ask: Ask) => {
  const events = Pipeline.make("sim")
    .from(source())
    .keyBy(event => event.account)
  return Pipeline.all(
    events.mapEffect(score(ask), { concurrency: 3 }).to(Sink.kafka("scored", Scored)),
    events.extend({ tag: tagOf }).to(Sink.kafka("tagged", Tagged)),
    events.filter(counts).window(window(), sums, late).to(Sink.kafka("totals", Total))
  )
}

/** An asynchronous step behind state: transactions close only when it is empty. */
const behind = (ask: Ask) => {
  type Sum = { key: string; windowStart: number; windowEnd: number; total: number; n: number }
  const rate = (sum: Sum) =>
    ask(sum, () => ({ ...sum, score: scoreOf(sum.total) })) as Effect.Effect<Sum & { score: number }>
  return Pipeline.make("sim")
    .from(source())
    .filter(counts)
    .keyBy(event => event.account)
    .window(window(), sums, late)
    .mapEffect(rate, { concurrency: 2 })
    .to(Sink.kafka("totals", Rated))
}

/** Two asynchronous branches: one may be done with a record while the other is not. */
const twice = (ask: Ask) => {
  const events = Pipeline.make("sim").from(source())
  return Pipeline.all(
    events.mapEffect(score(ask), { concurrency: 2 }).to(Sink.kafka("scored", Scored)),
    events
      .mapEffect(
        event => ask(event, () => ({ ...event, tag: tagOf(event) })) as Effect.Effect<Event & { tag: number }>,
        {
          concurrency: 3
        }
      )
      .to(Sink.kafka("tagged", Tagged))
  )
}

/** The key of what crosses to another partition. */
export const groupOf = (event: { readonly cents: number }): string => `g${event.cents % 5}`

/** Two stages: records cross to the partitions of another key, and windows are behind that. */
const crossing = () => {
  const events = Pipeline.make("sim").from(source())
  return Pipeline.all(
    events.extend({ tag: tagOf }).to(Sink.kafka("tagged", Tagged)),
    events.filter(counts).keyBy(groupOf).window(window(), sums, late).to(Sink.kafka("totals", Total))
  )
}

/** Records of both sides whose times are within this of each other. */
export const PAIRED_MS = 1_000
/** Of partitions that are aligned: less than the gaps between some records. */
const DRIFT_MS = 1_000

/** Two topics come together in one log, and records of both are paired there. */
const joined = (options: Source.KafkaOptions<Event> = {}) => {
  const side = (topic: string) => Pipeline.make("sim").from(source(topic, options)).keyBy(groupOf)
  return side(SOURCE)
    .intervalJoin(
      side(OTHERS),
      {
        id: "pairs",
        from: -PAIRED_MS,
        to: PAIRED_MS,
        late: { left: late.late, right: Sink.kafka("lateOthers", EventSchema) }
      },
      (left, right) => ({ group: groupOf(left), left: left.id, right: right.id })
    )
    .to(Sink.kafka("pairs", Pair))
}

/** The same, and no partition of either topic may run far ahead of the others. */
const aligned = () => joined({ alignment: { maxDrift: DRIFT_MS } })

/** What is committed goes on into a table. */
const table = () =>
  Pipeline.make("sim").from(source()).extend({ tag: tagOf }).to(Sink.kafka("tagged", Tagged), Sink.clickhouse("tagged"))

/** A record becomes two before an asynchronous step: one may be done while the other is not. */
const parts = (ask: Ask) =>
  Pipeline.make("sim")
    .from(source())
    .flatMap(event => PARTS.map(part => ({ ...event, part })))
    .mapEffect(event => ask(event, () => event) as Effect.Effect<Event & { part: number }>, { concurrency: 3 })
    .to(Sink.kafka("parts", Part))

const Either = Schema.Struct({ late: Schema.optionalKey(EventSchema), sum: Schema.optionalKey(Total) })
const lastOf = (at: number) => at - (at % WINDOW_MS) + WINDOW_MS - 1

/**
 * The window and its late events once more, by state and timers of the pipeline's own: each window keeps its events,
 * and has a timer for its end and one for the end of the lateness.
 */
const process = () => {
  const results = Pipeline.make("sim")
    .from(source())
    .filter(counts)
    .keyBy(event => event.account)
    .process("totals", {
      emits: Either,
      state: { windows: State.map(Schema.Int, Schema.Array(EventSchema)) },
      onRecord: (event, { key, watermark, state, timers, emit }) => {
        const last = lastOf(event.at)
        if (last + LATENESS_MS <= watermark) return emit({ late: event })
        const events = [...(state.windows.get(last) ?? []), event]
        state.windows.set(last, events)
        if (last <= watermark) return emit({ sum: totalOf(key, last, events) })
        timers.register(last)
        timers.register(last + LATENESS_MS)
      },
      onTimer: (time, { key, state, emit }) => {
        const events = state.windows.get(time)
        if (events === undefined) state.windows.delete(time - LATENESS_MS)
        else emit({ sum: totalOf(key, time, events) })
      }
    })
  return Pipeline.all(
    results
      .filter(one => one.late !== undefined)
      .map(one => one.late!)
      .to(late.late),
    results
      .filter(one => one.sum !== undefined)
      .map(one => one.sum!)
      .to(Sink.kafka("totals", Total))
  )
}

/** Each event is kept until the wall clock has gone on a little; those of a key that wait go out together. */
const alarms = () =>
  Pipeline.make("sim")
    .from(source())
    .keyBy(event => event.account)
    .process("alarms", {
      emits: Tagged,
      state: { waiting: State.list(EventSchema) },
      onRecord: (event, { processingTime, processingTimers, state }) => {
        state.waiting.append(event)
        processingTimers.register(processingTime + WAIT_MS)
      },
      onProcessingTimer: (_, { state, emit }) => {
        for (const event of state.waiting.get()) emit({ ...event, tag: tagOf(event) })
        state.waiting.clear()
      }
    })
    .to(Sink.kafka("tagged", Tagged))

const totalOf = (key: string, last: number, events: readonly Event[]) => ({
  key,
  windowStart: last - WINDOW_MS + 1,
  windowEnd: last + 1,
  total: events.reduce((sum, event) => sum + event.cents, 0),
  n: events.length
})

/** Of the shape whose patterns come as data: their topic. */
export const CONTROL = "patterns"
const CONTROLS = Patterns.topic(CONTROL, { undecodable: "dead" })

/** Patterns come, change, rest and go: each of them is one step, so that what held when an event came says what is found. */
const patterns = () =>
  Pipeline.make("sim")
    .from(source())
    .keyBy(groupOf)
    .matchDynamic("patterns", CONTROLS, late)
    .to(Sink.kafka("matches", Patterns.matchOf(EventSchema)))

/** The first of two events, and the one right behind it in its group, within so much time. */
export const begins = (event: { readonly cents: number }): boolean => event.cents % 2 === 0
export const follows = (event: { readonly cents: number }): boolean => event.cents % 3 > 0
export const SEQUENCE_MS = 1_500

const Sequence = Schema.Struct({ group: Schema.String, first: Schema.Int, second: Schema.Int })

/** A pattern of two, behind a crossing: what is under way is state that a savepoint keeps. */
const sequences = () => {
  const pattern = Pattern.begin("first", (event: Event) => begins(event))
    .next("second", (event: Event) => follows(event))
    .within(SEQUENCE_MS)
  const found = Pipeline.make("sim")
    .from(source())
    .keyBy(groupOf)
    .match("sequences", pattern, {
      ...late,
      select: ({ first, second }, group) => ({ group, first: first[0]!.id, second: second[0]!.id }),
      timedOut: ({ first }, group) => ({ group, first: first![0]!.id, second: 0 })
    })
  return Pipeline.all(found.to(Sink.kafka("sequences", Sequence)), found.timedOut.to(Sink.kafka("broken", Sequence)))
}

/** Later than all that comes: nothing is late where all keys are folded before they cross. */
const ALL_LATENESS_MS = 3_600_000
const Overall = Schema.Struct({ windowStart: Schema.Int, windowEnd: Schema.Int, total: Schema.Int, n: Schema.Int })

/** Windows over all keys: parts of them cross, each with its transaction. */
const overall = () =>
  Pipeline.make("sim")
    .from(source())
    .filter(counts)
    .windowAll(Window.tumbling(WINDOW_MS, { allowedLateness: ALL_LATENESS_MS }), sums)
    .to(Sink.kafka("overall", Overall))

export const SHAPES = [
  "plain",
  "prefix",
  "beside",
  "behind",
  "twice",
  "parts",
  "process",
  "alarms",
  "table",
  "crossing",
  "joined",
  "aligned",
  "patterns",
  "sequences",
  "overall"
] as const
export type Shape = (typeof SHAPES)[number]

export const planOf = (shape: Shape, ask: Ask): Plan => {
  const stages = { crossing, aligned, patterns, sequences, overall }
  const pipelines = { plain, prefix, beside, behind, twice, parts, process, alarms, table, ...stages }
  return toPlan(shape === "joined" ? joined() : pipelines[shape](ask))
}
