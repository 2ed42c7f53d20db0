import type { ByteWriter } from "@headrace/core"

/*
 * What stands in a record of a topic between two stages, before the value or in its place. The Kafka timestamp there is the
 * time of producing, so that retention has nothing to do with event time: that stands here, and may be before 1970.
 *
 *   RECORD     exchange u8 · kind of key u8 · event time f64 · the value as the exchange's encoder writes it
 *   WATERMARK  exchange u8 · channel u32 · watermark f64
 *   IDLE       exchange u8 · channel u32
 *   HALT       exchange u8 · channel u32 · number of the halt f64
 *
 * The exchange is its place among those that share the topic, the channel the place of the partition that writes among
 * all that flow into the exchange.
 */
export const RECORD = 1
export const WATERMARK = 2
export const IDLE = 3
export const HALT = 4

/** Of a RECORD, before its value. */
export const ENVELOPE_BYTES = 11
/** Of a WATERMARK and of a HALT. */
const NUMBERED_BYTES = 14
const IDLE_BYTES = 6

export const writeEnvelope = (out: ByteWriter, exchange: number, keyKind: number, time: number): void => {
  out.reserve(ENVELOPE_BYTES)
  const { view, length } = out
  view.setUint8(length, RECORD)
  view.setUint8(length + 1, exchange)
  view.setUint8(length + 2, keyKind)
  view.setFloat64(length + 3, time)
  out.length += ENVELOPE_BYTES
}

export const writeWatermark = (out: ByteWriter, exchange: number, channel: number, watermark: number): void => {
  out.u8(WATERMARK)
  out.u8(exchange)
  out.u32(channel)
  out.f64(watermark)
}

export const writeHalt = (out: ByteWriter, exchange: number, channel: number, number: number): void => {
  out.u8(HALT)
  out.u8(exchange)
  out.u32(channel)
  out.f64(number)
}

export const writeIdle = (out: ByteWriter, exchange: number, channel: number): void => {
  out.u8(IDLE)
  out.u8(exchange)
  out.u32(channel)
}

/** Reads envelopes in place. It stands on one record at a time. */
export class EnvelopeReader {
  kind = 0
  exchange = 0
  private view: DataView = new DataView(new ArrayBuffer(0))
  private bytes: Uint8Array | undefined
  private at = 0

  /** Throws on bytes that are no envelope. */
  stand(bytes: Uint8Array, start: number, length: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    this.at = start
    this.kind = length > 1 ? bytes[start]! : 0
    this.exchange = bytes[start + 1]!
    if (!isWhole(this.kind, length)) throw new Error(`it is no record of a stage: ${length} bytes of kind ${this.kind}`)
  }

  get keyKind(): number {
    return this.bytes![this.at + 2]!
  }
  get time(): number {
    return this.view.getFloat64(this.at + 3)
  }
  get channel(): number {
    return this.view.getUint32(this.at + 2)
  }
  get watermark(): number {
    return this.view.getFloat64(this.at + 6)
  }
  get halt(): number {
    return this.view.getFloat64(this.at + 6)
  }
}

const isWhole = (kind: number, length: number): boolean => {
  if (kind === RECORD) return length >= ENVELOPE_BYTES
  if (kind === WATERMARK || kind === HALT) return length === NUMBERED_BYTES
  return kind === IDLE && length === IDLE_BYTES
}
