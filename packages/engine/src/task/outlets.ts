import type { Input, Keyed, RecordEncoder } from "@headrace/core"
import type { ExchangeNode, KafkaSinkNode, Plan } from "headrace"
import type { LaneMetrics } from "../metrics.ts"
import { of } from "../names.ts"
import type { TopicPartition } from "../ports/log.ts"
import type { RecordContext } from "./context.ts"
import type { Crossing } from "./crossing.ts"
import { deadLetter } from "./dead-letter.ts"
import { FoldedCrossing } from "./folded-crossing.ts"
import type { Outputs } from "./outputs.ts"
import { OBJECT, type Place, type Shape } from "./place.ts"
import { computedKey, KafkaSink, sourceKey, streamKey, type WriteKey } from "./sink.ts"

/** What leaves a chain for the next stage: where, how its records look, and what they are keyed by. */
export interface Leaving {
  readonly partition: TopicPartition
  readonly shape: Shape
  /** Undefined: they go to all partitions. */
  readonly key: Keyed | undefined
  readonly outputs: () => Outputs
}

/** What all partitions of a lane share of where records go: compiled once. */
export interface OutletParts {
  readonly plan: Plan
  /** By the id of the sink's node. */
  readonly encoders: ReadonlyMap<string, RecordEncoder>
  /** The output topic's id. */
  readonly topicId: (name: string) => number
  /** What a partition's records flow into that cross to the partitions of their key. */
  readonly exchange: (node: ExchangeNode, from: Leaving) => Crossing
  readonly metrics: Pick<LaneMetrics, "add">
}

/** Where records leave the chain of a partition: for topics, for the next stage, and as dead letters. */
export class Outlets {
  private readonly parts: OutletParts
  private readonly partition: TopicPartition
  private readonly outputs: () => Outputs
  private readonly context: RecordContext

  constructor(parts: OutletParts, partition: TopicPartition, outputs: () => Outputs, context: RecordContext) {
    this.parts = parts
    this.partition = partition
    this.outputs = outputs
    this.context = context
  }

  sink(node: KafkaSinkNode, place: Place): Input {
    const encoder = this.parts.encoders.get(node.id)
    if (encoder === undefined) throw new Error(`No encoder was made for ${node.id}`)
    return new KafkaSink({
      topic: this.parts.topicId(node.topic),
      encoder: place.shape.kind === "view" ? encoder.from(place.shape.decoder, place.shape.names) : encoder,
      writeKey: this.keyOf(node, place),
      outputs: this.outputs
    })
  }

  /** A sink that belongs to a step, for what is late there. */
  lateSink(id: string, place: Place): Input {
    const node = of(this.parts.plan, "kafkaSink").find(sink => sink.id === id)
    if (node === undefined) throw new Error(`The plan has no sink ${id}`)
    return this.sink(node, place)
  }

  /** Where this log's part of the plan ends: the records go on from another log. */
  crossing(node: ExchangeNode, { shape, keyed: key }: Place): Crossing {
    if (key === undefined && node.to === "key") throw new Error(`${node.id} has no keyed stream before it`)
    const leaves = node.parts === undefined ? shape : OBJECT
    const crossing = this.parts.exchange(node, { partition: this.partition, shape: leaves, key, outputs: this.outputs })
    return node.parts === undefined ? crossing : new FoldedCrossing(crossing, node.parts)
  }

  deadLetter(topic: string, error: unknown): void {
    this.parts.metrics.add("deadLettered", 1)
    deadLetter(this.outputs(), this.parts.topicId(topic), this.partition, this.context, error)
  }

  private keyOf(node: KafkaSinkNode, place: Place): WriteKey {
    if (node.key !== undefined) return computedKey(node.key)
    return place.keyed === undefined ? sourceKey(this.context) : streamKey(place.keyed)
  }
}
