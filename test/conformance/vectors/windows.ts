import { Schema } from "effect"
import { Agg, Evictor, Sink, Trigger } from "headrace"
import { type AssignerSpec, windowing } from "./assigner.ts"
import type { Case, Row, Runner } from "./case.ts"
import { Event, events, timeOf } from "./events.ts"
import { runStream } from "./stream.ts"

interface Spec {
  readonly assigner: AssignerSpec
  readonly trigger: null | { readonly type: string; readonly n: number; readonly interval: number; readonly purge?: boolean }
  readonly evictor?: { readonly type: string; readonly n: number }
  readonly allowedLateness: number
}

const Emitted = Schema.Struct({
  key: Schema.String,
  windowStart: Schema.optional(Schema.Number),
  windowEnd: Schema.optional(Schema.Number),
  count: Schema.Number,
  sum: Schema.Number,
  min: Schema.Number,
  max: Schema.Number,
  list: Schema.optional(Schema.Array(Schema.Number))
})

const FIELDS = ["key", "start", "end", "ts", "count", "sum", "min", "max"]

const triggerOf = (trigger: Spec["trigger"]) => {
  const made = made_(trigger)
  return trigger?.purge === true && made !== undefined ? Trigger.purging(made) : made
}

const made_ = (trigger: Spec["trigger"]) => {
  switch (trigger?.type) {
    case "count":
      return Trigger.count(trigger.n)
    case "continuous-event-time":
      return Trigger.every(trigger.interval)
    case "end-of-stream":
      return Trigger.endOfStream
    case "event-time":
      return Trigger.eventTime
    case undefined:
      return undefined
    default:
      throw new Error(`There is no trigger ${trigger?.type}`)
  }
}

const folded = {
  count: Agg.count(),
  sum: Agg.sum((event: Event) => event.value),
  min: Agg.min((event: Event) => event.value),
  max: Agg.max((event: Event) => event.value)
}

/** With the list of values the window keeps its records, without it only what the aggregates make of them. */
const run = (one: Case, variant: Parameters<Runner>[1], lists: boolean): string | undefined => {
  const spec = one.spec as unknown as Spec
  const trigger = triggerOf(spec.trigger)
  const window = windowing(spec.assigner, {
    allowedLateness: spec.allowedLateness,
    ...(trigger === undefined ? {} : { trigger }),
    ...(spec.evictor === undefined ? {} : { evictor: Evictor.last(spec.evictor.n) })
  })
  if (window === undefined) return `there is no window ${spec.assigner.type}`
  const aggregates = lists ? { ...folded, list: Agg.collect((event: Event) => event.value, Schema.Number) } : folded
  const stream = events("in")
    .keyBy(event => event.key)
    .window(window, aggregates as typeof folded, { late: Sink.kafka("late", Event) })
  return runStream(one, variant, {
    pipeline: stream.to(Sink.kafka("out", Emitted)),
    topicOf: () => "in",
    topics: ["in"],
    emitted: ({ value, timestamp }) => {
      const { windowStart: start, windowEnd: end, ...rest } = value as Record<string, unknown>
      return { ...rest, start, end, ts: timeOf(timestamp) } as Row
    },
    fields: lists ? [...FIELDS, "list"] : FIELDS,
    lateFields: ["key", "value", "ts"],
    unordered: spec.assigner.type.startsWith("session") ? ["list"] : [],
    ordered: false
  })
}

export const windows: Runner = (one, variant) => run(one, variant, true) ?? run(one, variant, false)
