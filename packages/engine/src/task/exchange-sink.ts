import { END_OF_TIME, type Keyed, NO_WATERMARK, partitionOf, type RecordEncoder } from "@headrace/core"
import { exchangeName, exchangesOf } from "../names.ts"
import type { WallClock } from "./chain.ts"
import { Channels } from "./channels.ts"
import type { Crossing } from "./crossing.ts"
import { writeEnvelope, writeHalt, writeIdle, writeWatermark } from "./envelope.ts"
import type { OutletParts } from "./outlets.ts"
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
  readonly clock: WallClock
}

/** The least time between two watermarks, in ms: each costs a record in every partition, of every partition before (rule 7). */
const INTERVAL_MS = 100

/** librdkafka's word for the time of producing. */
const NOW = -1
const NO_KEY = -1
const NO_KIND = 0

/**
 * A crossing over a topic. A watermark goes out at the end of a transaction, behind all its records, and only if it has
 * advanced and the one before is old enough. The end of event time waits for nothing.
 */
export class ExchangeSink implements Crossing {
  private readonly options: ExchangeOptions
  private watermarkNow = NO_WATERMARK
  private resting = false
  private halting: number | undefined
  /** What the next stage has heard. */
  private said = { watermark: NO_WATERMARK, resting: false, at: Number.NEGATIVE_INFINITY }
  /** A transaction is made to tell the next stage. */
  private settling = false

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

  halt(number: number): void {
    this.halting = number
  }

  get pending(): boolean {
    return !this.settling && this.watermarkNow > this.said.watermark && this.mayTell
  }

  proceed(): number {
    this.settling = true
    return 1
  }

  settle(): void {
    const { said, watermarkNow, resting, halting } = this
    const { exchange, channel, clock } = this.options
    this.settling = false
    // Who halts says all that there is to say before.
    const changes = said.resting !== resting || halting !== undefined
    if ((watermarkNow > said.watermark && (this.mayTell || changes)) || (said.resting && !resting)) {
      this.toAll(outputs => writeWatermark(outputs.data, exchange, channel, watermarkNow))
      this.said = { watermark: watermarkNow, resting: false, at: clock.now }
    }
    if (resting && !this.said.resting) {
      this.toAll(outputs => writeIdle(outputs.data, exchange, channel))
      this.said.resting = true
    }
    if (halting === undefined) return
    this.toAll(outputs => writeHalt(outputs.data, exchange, channel, halting))
    this.halting = undefined
  }

  /** A clock that was set back holds nothing up. */
  private get mayTell(): boolean {
    const since = this.options.clock.now - this.said.at
    return since >= INTERVAL_MS || since < 0 || this.watermarkNow === END_OF_TIME
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
  (parts: Pick<TaskParts, "plan" | "app" | "encoders" | "topicId" | "partitions" | "clock">): OutletParts["exchange"] =>
  (node, { partition, shape, key, outputs }) => {
    const { plan, app, partitions, clock } = parts
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
      outputs,
      clock
    })
  }
