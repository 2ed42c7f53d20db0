import { Schema } from "effect"
import { Sink } from "headrace"
import type { Row, Runner } from "./case.ts"
import { Event, events, timeOf } from "./events.ts"
import { runStream } from "./stream.ts"

interface Spec {
  readonly keep: "first" | "last"
  readonly emit: "changelog" | "watermark"
}

const Change = Schema.Struct({ op: Schema.String, record: Event })
const late = Sink.kafka("late", Event)

const pipelineOf = ({ keep, emit }: Spec) => {
  const keyed = events("in").keyBy(event => event.key)
  return emit === "watermark"
    ? keyed.deduplicate({ id: "dedup", keep, emit: "once", late }).to(Sink.kafka("out", Event))
    : keyed.deduplicate({ id: "dedup", keep, emit: "changes" }).to(Sink.kafka("out", Change))
}

export const dedup: Runner = (one, variant) =>
  runStream(one, variant, {
    pipeline: pipelineOf(one.spec as unknown as Spec),
    topicOf: () => "in",
    topics: ["in"],
    emitted: ({ value, timestamp }) => {
      const change = value as { readonly op?: string; readonly record?: Row }
      const row = { ...(change.record ?? value), op: change.record === undefined ? "+I" : change.op }
      return { ...row, ts: timeOf(timestamp) } as Row
    },
    fields: ["op", "key", "value", "ts"],
    lateFields: ["key", "value", "ts"],
    unordered: [],
    ordered: true
  })
