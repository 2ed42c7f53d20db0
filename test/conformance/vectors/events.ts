import { Schema } from "effect"
import { Pipeline, Source } from "headrace"

/** The events of all kinds. */
export const Event = Schema.Struct({
  key: Schema.String,
  value: Schema.Number,
  ts: Schema.Number,
  side: Schema.optional(Schema.String),
  gap: Schema.optional(Schema.Number),
  op: Schema.optional(Schema.String)
})
export type Event = (typeof Event)["Type"]

export const events = (topic: string) =>
  Pipeline.make("conformance").from(Source.kafka(topic, Event, { key: "key", eventTime: event => event.ts }))

/** Event time as the cases write it. */
export const timeOf = (timestamp: number): number | "max" => (timestamp === Number.POSITIVE_INFINITY ? "max" : timestamp)
