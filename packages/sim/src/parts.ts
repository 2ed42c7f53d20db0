import type { RecordEncoder } from "@headrace/core"
import { LaneMetrics, of, outputTopics, type PreparedDecoder } from "@headrace/engine"
import type { Schema } from "effect"
import type { Plan } from "headrace"
import { controlDecoder, eventDecoder, jsonDecoder, jsonEncoder } from "./codec.ts"
import { exchangeOver, StateMemory, structuralDecoder, structuralEncoder, type TaskParts } from "./engine.ts"
import { CONTROL } from "./pipelines.ts"
import { SpillDisk } from "./spill.ts"
import { APP, type World } from "./world.ts"

/** Few: what is old stays for a while, so that all three ages of state are there. */
const DRAINED_AT_ONCE = 2

/** What the tasks of a lane are made of here. */
export const chainParts = (plan: Plan, world: World, owner: object, onFinished: () => void): TaskParts => {
  const topics = outputTopics(plan, APP)
  const decoders = new Map<string, PreparedDecoder>(
    of(plan, "source").map(({ id, topic, schema }) => [
      id,
      topic === CONTROL ? controlDecoder(fieldsOf(schema)) : eventDecoder()
    ])
  )
  const encoders = new Map<string, RecordEncoder>()
  for (const { id, schema } of of(plan, "kafkaSink")) encoders.set(id, jsonEncoder(fieldsOf(schema)))
  for (const { id, schema } of of(plan, "exchange")) {
    encoders.set(id, schema === undefined ? structuralEncoder : jsonEncoder(fieldsOf(schema)))
    decoders.set(id, schema === undefined ? structuralDecoder() : jsonDecoder(fieldsOf(schema)))
  }
  const parts = {
    plan,
    app: APP,
    decoders,
    encoders,
    services: world.services(owner) as never,
    topicId: (name: string) => topics.indexOf(name),
    partitions: (topic: string) => world.log.topics.get(topic)!.length,
    onFinished,
    clock: { now: 0 },
    metrics: new LaneMetrics(),
    memory: new StateMemory({
      boundBytes: world.stateBytes,
      drainedAtOnce: DRAINED_AT_ONCE,
      open: () => new SpillDisk(world),
      onFull: "wait"
    })
  }
  return { ...parts, exchange: exchangeOver(parts) }
}

const fieldsOf = (schema: Schema.Top): readonly string[] =>
  Object.keys((schema as unknown as Schema.Struct<Schema.Struct.Fields>).fields)
