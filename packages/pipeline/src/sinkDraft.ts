import type { Draft } from "./draft.ts"
import { check, PipelineError } from "./error.ts"
import type { ClickHouseSinkNode, Node } from "./nodes.ts"
import type { ClickHouseSink, KafkaSink } from "./sink.ts"

type Sinks = ReadonlyArray<KafkaSink<never> | ClickHouseSink>

/** One step for each topic, the tables that follow it beside it. */
export const sinkDrafts = (input: Draft, sinks: Sinks): readonly Draft[] => {
  const drafts: Draft[] = []
  for (const sink of sinks) {
    if (sink.kind === "kafkaSink") drafts.push(topic(input, sink, tablesOf(sinks, sink)))
  }
  checkFirst(sinks)
  return drafts
}

const checkFirst = (sinks: Sinks): void => {
  const [first] = sinks
  if (first === undefined) throw new PipelineError({ message: "`to` needs a sink, such as Sink.kafka(topic, schema)" })
  check(
    first.kind === "kafkaSink",
    () => `${first.id} has no topic to read: put the Sink.kafka(…) that it is to be filled from before it`
  )
}

/** The tables between this topic's sink and the next one's. */
const tablesOf = (sinks: Sinks, { topic, schema, ...of }: KafkaSink<never>): readonly ClickHouseSinkNode[] => {
  const at = sinks.findIndex(sink => sink.id === of.id) + 1
  const next = sinks.findIndex((sink, i) => i >= at && sink.kind === "kafkaSink")
  return sinks
    .slice(at, next === -1 ? sinks.length : next)
    .filter(sink => sink.kind === "clickhouseSink")
    .map(({ kind, id, table }) => ({ kind, id, table, topic, schema }))
}

const topic = (input: Draft, sink: KafkaSink<never>, beside: readonly ClickHouseSinkNode[]): Draft => ({
  id: sink.id,
  fixed: true,
  inputs: [input],
  beside,
  spec: { kind: "kafkaSink", topic: sink.topic, schema: sink.schema, key: sink.key }
})

/** The sink of what a step calls late. */
export const lateSink = ({ id, topic, schema, key }: KafkaSink<never>, of: string): Node => ({
  kind: "kafkaSink",
  id,
  input: of,
  topic,
  schema,
  key
})
