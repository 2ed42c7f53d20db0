import { ByteWriter } from "../bytes.ts"
import type { Entry, EntryRange } from "./block.ts"
import { Table } from "./table.ts"

/** Columns of the table; 0 is its own. */
const START = 1
const LENGTH = 2
/** In place of a length: the entry has left. */
const GONE = -1
/** What has left or was overwritten is given up once there is this much of it, and as much as of the others. */
const WORTH_COMPACTING_BYTES = 1 << 16

/** Entries as their bytes, in no order: of each key the last that was put. */
export class LooseEntries {
  /** Entries that are here. */
  held = 0
  private table = new Table(2)
  private values = new ByteWriter(1024)
  /** Of their keys and values. */
  private heldBytes = 0
  /** Slots before this one have left. */
  private first = 0

  /** Memory that they take. */
  get bytes(): number {
    return this.table.byteSize + this.values.bytes.byteLength
  }

  /** Copies an entry, in place of one with the same key; whether there was one. */
  put({ bytes, keyStart, keyEnd, valueStart, valueEnd }: EntryRange): boolean {
    const { table, values } = this
    const known = table.count
    const slot = table.upsert(bytes, keyStart, keyEnd)
    const row = slot * table.stride
    const before = slot < known ? table.rows[row + LENGTH]! : GONE
    const isNew = before === GONE
    table.rows[row + START] = values.length
    table.rows[row + LENGTH] = valueEnd - valueStart
    values.copy(bytes, valueStart, valueEnd)
    this.first = Math.min(this.first, slot)
    this.heldBytes += valueEnd - valueStart + (isNew ? keyEnd - keyStart : -before)
    if (isNew) this.held++
    this.compactIfDue()
    return !isNew
  }

  /** The value of a key's entry, which is here no longer; undefined if there is none. */
  take(bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
    const slot = this.table.find(bytes, start, end)
    const value = slot < 0 ? undefined : this.valueOf(slot)
    if (value === undefined) return undefined
    this.table.rows[slot * this.table.stride + LENGTH] = GONE
    this.held--
    this.heldBytes -= end - start + value.length
    this.compactIfDue()
    return value
  }

  /** The key of one of them. Only while there is one. */
  firstKey(): Uint8Array {
    while (this.valueOf(this.first) === undefined) this.first++
    return this.keyOf(this.first)
  }

  *all(): Generator<Entry> {
    for (let slot = this.first; slot < this.table.count; slot++) {
      const value = this.valueOf(slot)
      if (value !== undefined) yield [this.keyOf(slot), value]
    }
  }

  private get usedBytes(): number {
    return this.table.offsets[this.table.count]! + this.values.length
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

  private compactIfDue(): void {
    if (this.usedBytes - this.heldBytes > Math.max(WORTH_COMPACTING_BYTES, this.heldBytes)) this.compact()
  }

  /** Writes anew what is left. */
  private compact(): void {
    const table = new Table(2, this.held)
    const values = new ByteWriter(1024)
    for (const [key, value] of this.all()) {
      const at = table.upsert(key, 0, key.length) * table.stride
      table.rows[at + START] = values.length
      table.rows[at + LENGTH] = value.length
      values.copy(value, 0, value.length)
    }
    this.table = table
    this.values = values
    this.first = 0
  }
}
