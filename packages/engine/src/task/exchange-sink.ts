import { type Keyed, NO_WATERMARK, partitionOf, type RecordEncoder } from "@headrace/core"
import { exchangeName, exchangesOf } from "../names.ts"
import type { ChainParts } from "./chain.ts"
import { Channels } from "./channels.ts"
import type { Crossing } from "./crossing.ts"
import { writeEnvelope, writeIdle, writeWatermark } from "./envelope.ts"
import type { Outputs } from "./outputs.ts"
import type { TaskParts } from "./partition-task.ts"

export interface ExchangeOptions {
  /** The id of the output topic, and how many partitions it has. */
  readonly topic: number
  readonly partitions: number
  /** The place of the exchange among those of the topic. */
  readonly exchange: number
  /** The place of this partition among those that flow into the exchange. */
  readonly channel: number
  readonly encoder: RecordEncoder
  /** Undefined: records go to all partitions. */
  readonly key: Keyed | undefined
  readonly outputs: () => Outputs
}

/** librdkafka's word for the time of producing. */
const NOW = -1
const NO_KEY = -1
const NO_KIND = 0

/**
 * A crossing over a topic. A watermark goes out at the end of the transaction, behind all its records, and only if it has
 * advanced: each costs a record in every partition.
 */
export class ExchangeSink implements Crossing {
  private readonly options: ExchangeOptions
  private watermarkNow = NO_WATERMARK
  private resting = false
  /** What the next stage has heard. */
  private said = { watermark: NO_WATERMARK, resting: false }

  constructor(options: ExchangeOptions) {
    this.options = options
  }

  next(record: object, timestamp: number): void {
    this.resting = false
    const { exchange, encoder, key } = this.options
    if (key !== undefined) return this.toOne(key, record, timestamp)
    this.toAll(({ data }) => {
      writeEnvelope(data, exchange, NO_KIND, timestamp)
      encoder.encode(record, data)
    })
  }

  watermark(watermark: number): void {
    this.resting = false
    if (watermark > this.watermarkNow) this.watermarkNow = watermark
  }

  rest(): void {
    this.resting = true
  }

  settle(): void {
    const { said, watermarkNow, resting } = this
    const { exchange, channel } = this.options
    if (watermarkNow > said.watermark || (said.resting && !resting)) {
      this.toAll(outputs => writeWatermark(outputs.data, exchange, channel, watermarkNow))
      this.said = { watermark: watermarkNow, resting: false }
    }
    if (resting && !this.said.resting) {
      this.toAll(outputs => writeIdle(outputs.data, exchange, channel))
      this.said.resting = true
    }
  }

  private toOne(key: Keyed, record: object, timestamp: number): void {
    const { topic, partitions, exchange, encoder } = this.options
    const outputs = this.options.outputs()
    const { data } = outputs
    const start = data.length
    data.copy(key.bytes, key.start, key.end)
    const valueStart = data.length
    writeEnvelope(data, exchange, key.kind, timestamp)
    encoder.encode(record, data)
    const partition = partitionOf(key.bytes.subarray(key.start, key.end), partitions)
    outputs.add(topic, partition, start, valueStart, NOW)
  }

  private toAll(write: (outputs: Outputs) => void): void {
    const { topic, partitions } = this.options
    const outputs = this.options.outputs()
    for (let partition = 0; partition < partitions; partition++) {
      const start = outputs.data.length
      write(outputs)
      outputs.add(topic, partition, NO_KEY, start, NOW)
    }
  }
}

/** How records of a lane cross, over the topics that exchanges have. */
export const exchangeOver =
  (parts: Pick<TaskParts, "plan" | "app" | "encoders" | "topicId" | "partitions">): ChainParts["exchange"] =>
  (node, { partition, shape, key, outputs }) => {
    const { plan, app, partitions } = parts
    const topic = exchangeName(app, node.log)
    const encoder = parts.encoders.get(node.id)
    if (encoder === undefined) throw new Error(`No encoder was made for ${node.id}`)
    return new ExchangeSink({
      topic: parts.topicId(topic),
      partitions: partitions(topic),
      exchange: exchangesOf(plan, app, topic).indexOf(node),
      channel: new Channels(plan, app, node, partitions).numberOf(partition),
      encoder: shape.kind === "view" ? encoder.from(shape.decoder, shape.names) : encoder,
      key: node.to === "all" ? undefined : key,
      outputs
    })
  }
