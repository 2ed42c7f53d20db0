import type { Input, Keyed, RecordEncoder } from "@headrace/core"
import type { RecordContext } from "./context.ts"
import type { Outputs } from "./outputs.ts"

/** Appends the Kafka key of the current record to `out`; answers false where it has none. */
export type WriteKey = (record: object, outputs: Outputs) => boolean

export interface KafkaSinkOptions {
  readonly topic: number
  readonly encoder: RecordEncoder
  readonly writeKey: WriteKey
  readonly outputs: () => Outputs
}

/** Encodes each record straight into the lane's outputs. */
export class KafkaSink implements Input {
  private readonly options: KafkaSinkOptions

  constructor(options: KafkaSinkOptions) {
    this.options = options
  }

  next(record: object, timestamp: number): void {
    const { topic, encoder, writeKey } = this.options
    const outputs = this.options.outputs()
    const start = outputs.data.length
    const keyed = writeKey(record, outputs)
    const valueStart = outputs.data.length
    encoder.encode(record, outputs.data)
    outputs.add(topic, -1, keyed ? start : -1, valueStart, timestamp)
  }

  watermark(): void {}
}

/** The source record's own key, unchanged. */
export const sourceKey =
  (context: RecordContext): WriteKey =>
  (_, outputs) => {
    if (context.keyLength < 0) return false
    outputs.data.copy(context.bytes, context.keyStart, context.keyStart + context.keyLength)
    return true
  }

/** The key of a keyed stream, as the bytes that it already is. */
export const streamKey =
  (key: Keyed): WriteKey =>
  (_, outputs) => {
    outputs.data.copy(key.bytes, key.start, key.end)
    return true
  }

const utf8 = new TextEncoder()

/** A key that the pipeline computes. */
export const computedKey =
  (key: (record: never) => string): WriteKey =>
  (record, outputs) => {
    const bytes = utf8.encode(key(record as never))
    outputs.data.copy(bytes, 0, bytes.length)
    return true
  }
