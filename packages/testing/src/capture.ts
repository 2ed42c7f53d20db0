import type { RecordEncoder } from "@headrace/core"
import { Outputs } from "@headrace/engine"
import { Schema } from "effect"

/** What a sink or a dead letter wrote. */
export interface Output<out A = object> {
  readonly topic: string
  /** As text; undefined: the record has none. */
  readonly key: string | undefined
  readonly value: A
  /** Event time in ms. */
  readonly timestamp: number
}

const utf8 = new TextDecoder()

/** Takes what a partition's sinks write as objects, in place of the lane's buffer. */
export class Capture extends Outputs {
  /** The record that the sink has just encoded. */
  encoded: object | undefined
  private readonly topic: (id: number) => string
  private readonly sourceRecord: () => object
  private readonly write: (output: Output) => void

  /** `sourceRecord`: what a dead letter holds. */
  constructor(topic: (id: number) => string, sourceRecord: () => object, write: (output: Output) => void) {
    super()
    this.topic = topic
    this.sourceRecord = sourceRecord
    this.write = write
  }

  override add(topic: number, _partition: number, keyStart: number, valueStart: number, timestamp: number): void {
    const key = keyStart < 0 ? undefined : utf8.decode(this.data.bytes.subarray(keyStart, valueStart))
    const value = this.encoded ?? this.sourceRecord()
    this.encoded = undefined
    this.clear()
    this.write({ topic: this.topic(topic), key, value, timestamp })
  }
}

type Codec = Schema.Codec<object, unknown>

/** Encodes for a capture: what the sink's schema makes of the record, and throws where it does not fit. */
export const capturing = (schema: Schema.Top, capture: () => Capture): RecordEncoder => {
  // A class would ask for its own instances; sinks take any object of the fields.
  const own = ("fields" in schema ? Schema.Struct(schema.fields as Schema.Struct.Fields) : schema) as Codec
  const encode = Schema.encodeUnknownSync(own)
  const decode = Schema.decodeUnknownSync(own)
  const encoder: RecordEncoder = {
    encode: record => {
      capture().encoded = decode(encode(record))
    },
    from: () => encoder
  }
  return encoder
}
