import { ByteWriter } from "../bytes.ts"
import { HANDLE_BYTES } from "./order.ts"
import { Table } from "./table.ts"

/** Columns of the table; 0 is its own. */
const START = 1
const LENGTH = 2
/** In place of a length: the entry has left. */
const GONE = -1
/** Keys and values may take so much each: far below where a buffer could not double any more. */
const MOST_BYTES = 1 << 29

/**
 * Entries that came back from the log and that nobody has asked for since, one a key, as their bytes: to make objects of
 * a million values takes seconds, most of which nobody needs soon. Their keys stand without the handle's prefix. What
 * leaves is not made up for: all of it goes when the last entry does.
 */
export class RestoredCells {
  /** Entries. */
  rows = 0
  private readonly table = new Table(2)
  private readonly values = new ByteWriter(1024)
  /** Slots before this one are gone. */
  private drained = 0

  get full(): boolean {
    return this.values.length > MOST_BYTES || this.table.offsets[this.table.count]! > MOST_BYTES
  }

  /** What the entries that are here take; of what has left nothing, though it goes with the last one. */
  get bytes(): number {
    const { table, values } = this
    return Math.round(((table.byteSize + values.bytes.byteLength) * this.rows) / Math.max(1, table.count))
  }

  /** Copies an entry, in place of one with the same key. */
  put(name: Uint8Array, value: Uint8Array): void {
    const { table, values } = this
    const fresh = table.count
    const slot = table.upsert(name, HANDLE_BYTES, name.length)
    const at = slot * table.stride
    if (slot === fresh || table.rows[at + LENGTH] === GONE) this.rows++
    table.rows[at + START] = values.length
    table.rows[at + LENGTH] = value.length
    values.copy(value, 0, value.length)
  }

  /** The value of a key's entry, which is here no longer; undefined if there is none. Valid until the next `put`. */
  take(name: Uint8Array): Uint8Array | undefined {
    const slot = this.table.find(name, HANDLE_BYTES, name.length)
    return slot < 0 ? undefined : this.leave(slot)
  }

  /** Up to `limit` entries that leave. */
  *drain(limit: number): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
    for (let left = limit; left > 0 && this.drained < this.table.count; this.drained++) {
      const value = this.leave(this.drained)
      if (value === undefined) continue
      yield [this.keyOf(this.drained), value]
      left--
    }
  }

  *all(): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
    for (let slot = this.drained; slot < this.table.count; slot++) {
      const value = this.valueOf(slot)
      if (value !== undefined) yield [this.keyOf(slot), value]
    }
  }

  private leave(slot: number): Uint8Array | undefined {
    const value = this.valueOf(slot)
    if (value === undefined) return undefined
    this.table.rows[slot * this.table.stride + LENGTH] = GONE
    this.rows--
    return value
  }

  private keyOf(slot: number): Uint8Array {
    const { keys, offsets } = this.table
    return keys.subarray(offsets[slot]!, offsets[slot + 1]!)
  }

  private valueOf(slot: number): Uint8Array | undefined {
    const { rows, stride } = this.table
    const start = rows[slot * stride + START]!
    const length = rows[slot * stride + LENGTH]!
    return length === GONE ? undefined : this.values.bytes.subarray(start, start + length)
  }
}
