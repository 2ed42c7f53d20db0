import { Schema } from "effect"
import { Agg, Sink } from "headrace"
import type { Case, Row, Runner } from "./case.ts"
import { Event, events, timeOf } from "./events.ts"
import { runStream } from "./stream.ts"
import { type WindowSpec, windowing } from "./windowing.ts"

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

const folded = {
  count: Agg.count(),
  sum: Agg.sum((event: Event) => event.value),
  min: Agg.min((event: Event) => event.value),
  max: Agg.max((event: Event) => event.value)
}

/** With the list of values the window keeps its records, without it only what the aggregates make of them. */
const run = (one: Case, variant: Parameters<Runner>[1], lists: boolean): string | undefined => {
  const spec = one.spec as unknown as WindowSpec
  const window = windowing(spec)
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
