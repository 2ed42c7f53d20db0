import { ByteWriter } from "@headrace/core"

/** Numbers a record in `Outputs.index`; the native producer reads the same layout. */
export const OUTPUT_STRIDE = 8

/**
 * Records to produce, back to back in one buffer, in the layout that the native producer takes in one call. Sinks
 * write key and value into `data` and close the record with `add`.
 */
export class Outputs {
  readonly data = new ByteWriter(1 << 18)
  index = new Int32Array(OUTPUT_STRIDE * 1024)
  /** One timestamp in ms for each record. */
  stamps = new Float64Array(1024)
  count = 0

  /**
   * The record whose key stands in `data` at [keyStart, valueStart) and whose value from there to the end, less
   * `headers` bytes of encoded headers at the very end. `keyStart` -1: no key. `partition` -1: by the key's hash. A time
   * that Kafka has no number for (before 1970, or the end of time) becomes 0.
   */
  add(topic: number, partition: number, keyStart: number, valueStart: number, timestamp: number, headers = 0): void {
    if (this.count === this.stamps.length) this.grow()
    const valueEnd = this.data.length - headers
    const at = this.count * OUTPUT_STRIDE
    const index = this.index
    index[at] = topic
    index[at + 1] = partition
    index[at + 2] = Math.max(keyStart, 0)
    index[at + 3] = keyStart < 0 ? -1 : valueStart - keyStart
    index[at + 4] = valueStart
    index[at + 5] = valueEnd - valueStart
    index[at + 6] = valueEnd
    index[at + 7] = headers
    this.stamps[this.count++] = Number.isFinite(timestamp) ? Math.max(timestamp, 0) : 0
  }

  clear(): void {
    this.data.clear()
    this.count = 0
  }

  get size(): number {
    return this.data.length
  }

  private grow(): void {
    const index = new Int32Array(this.index.length * 2)
    index.set(this.index)
    this.index = index
    const stamps = new Float64Array(this.stamps.length * 2)
    stamps.set(this.stamps)
    this.stamps = stamps
  }
}
