import { ByteWriter } from "../bytes.ts"
import { type Entry, type EntryRange, EntryReader, KeyOrder } from "./block.ts"
import { ChangeReader, PREFIX_TOMBSTONE, PUT, writePrefixTombstone, writePut, writeTombstone } from "./changes.ts"
import { compareRanges, sharedBytes } from "./order.ts"
import { Table } from "./table.ts"

/** Columns of a changed key: where its last value stands, its length, and its place among all changes. */
const FROM = 1
const LENGTH = 2
const SEQUENCE = 3
/** In LENGTH: the key was removed. */
const REMOVED = -1
/** What a block may grow by until its copy has to. */
const SPARE_BYTES = 1024
/** Values that were overwritten are given up once there is this much of them, and as much as of the others. */
const WORTH_COMPACTING_BYTES = 1 << 24

/**
 * Makes a checkpoint out of the one before and the changelog since: compares bytes and runs no user code. Memory holds
 * the last change of each key, not the checkpoint, as plain bytes: millions of small objects would have the collector
 * compete with the lanes for the processor.
 */
export class ChangeSet {
  private readonly changes = new Table(3)
  private values = new ByteWriter(1 << 16)
  private liveBytes = 0
  /** Prefix tombstones, each with the place of the last one. */
  private readonly prefixes = new Table(1)
  private readonly prefixLengths = new Set<number>()
  private sequence = 0

  /** Adds the changes of one changelog record; records come in log order. The bytes are copied. Throws StateError. */
  add(changes: Uint8Array): void {
    const reader = new ChangeReader(changes)
    while (reader.next()) this.change(reader)
  }

  /** Bytes of memory that the changes hold. */
  get byteSize(): number {
    return this.changes.byteSize + this.prefixes.byteSize + this.values.length
  }

  /** Bytes that `write` makes of them, about. */
  get writtenBytes(): number {
    return this.liveBytes + this.changes.offsets[this.changes.count]! + this.changes.count * 4
  }

  /**
   * Writes what all changes come to, as changes: what is removed by prefix, then the last change of each key, in order.
   * Applied to the same checkpoint they do the same. Yields behind each change, so that `out` can be taken away in parts.
   */
  *write(out: ByteWriter): Generator<void> {
    const key = new ByteWriter(64)
    const value = new ByteWriter(64)
    const put = (target: ByteWriter, bytes: Uint8Array) => {
      target.clear()
      target.copy(bytes, 0, bytes.length)
    }
    const { keys, offsets, count } = this.prefixes
    for (let slot = 0; slot < count; slot++) {
      put(key, keys.subarray(offsets[slot]!, offsets[slot + 1]!))
      yield writePrefixTombstone(out, key)
    }
    for (const slot of this.sorted()) {
      put(key, this.key(slot))
      const [entry] = this.alive(slot)
      if (entry === undefined) yield writeTombstone(out, key)
      else {
        put(value, entry[1])
        yield writePut(out, key, value)
      }
    }
  }

  /** Begins to merge, once all changes are there. */
  merging(): Merge {
    return new Merge(this.sorted(), this)
  }

  private change(reader: ChangeReader): void {
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = reader
    const sequence = this.sequence++
    if (reader.kind === PREFIX_TOMBSTONE) {
      const slot = this.prefixes.upsert(bytes, keyStart, keyEnd)
      this.prefixes.rows[slot * this.prefixes.stride + 1] = sequence
      this.prefixLengths.add(keyEnd - keyStart)
      return
    }
    const known = this.changes.count
    const slot = this.changes.upsert(bytes, keyStart, keyEnd)
    const { rows, stride } = this.changes
    const row = slot * stride
    if (slot < known) this.liveBytes -= Math.max(0, rows[row + LENGTH]!)
    const length = reader.kind === PUT ? valueEnd - valueStart : REMOVED
    rows[row + FROM] = this.values.length
    rows[row + LENGTH] = length
    rows[row + SEQUENCE] = sequence
    if (length > 0) this.keep(bytes, valueStart, valueEnd)
  }

  private keep(bytes: Uint8Array, start: number, end: number): void {
    this.values.copy(bytes, start, end)
    this.liveBytes += end - start
    if (this.values.length - this.liveBytes > Math.max(WORTH_COMPACTING_BYTES, this.liveBytes)) this.compact()
  }

  private compact(): void {
    const kept = new ByteWriter(this.liveBytes)
    const { rows, stride, count } = this.changes
    for (let row = 0; row < count * stride; row += stride) {
      const from = rows[row + FROM]!
      rows[row + FROM] = kept.length
      if (rows[row + LENGTH]! > 0) kept.copy(this.values.bytes, from, from + rows[row + LENGTH]!)
    }
    this.values = kept
  }

  /** What no prefix tombstone removed since (it removes the checkpoint's entry as well), in key order. */
  private sorted(): Int32Array {
    const { keys, offsets, rows, stride, count } = this.changes
    const slots = new Int32Array(count)
    let length = 0
    for (let slot = 0; slot < count; slot++) {
      if (!this.removed(keys, offsets[slot]!, offsets[slot + 1]!, rows[slot * stride + SEQUENCE]!))
        slots[length++] = slot
    }
    return slots
      .subarray(0, length)
      .sort((a, b) => compareRanges(keys, offsets[a]!, offsets[a + 1]!, keys, offsets[b]!, offsets[b + 1]!))
  }

  /** The key in a slot. */
  key(slot: number): Uint8Array {
    const { keys, offsets } = this.changes
    return keys.subarray(offsets[slot]!, offsets[slot + 1]!)
  }

  /** The entry in a slot, unless its last change removed it. */
  *alive(slot: number): Generator<Entry> {
    const row = slot * this.changes.stride
    const { rows } = this.changes
    const length = rows[row + LENGTH]!
    if (length === REMOVED) return
    const from = rows[row + FROM]!
    yield [this.key(slot), this.values.bytes.subarray(from, from + length)]
  }

  /** Writes the entry in a slot, unless its last change removed it. */
  writeAlive(slot: number, out: ByteWriter): void {
    const { keys, offsets, rows, stride } = this.changes
    const length = rows[slot * stride + LENGTH]!
    if (length === REMOVED) return
    const from = rows[slot * stride + FROM]!
    out.varint(offsets[slot + 1]! - offsets[slot]!)
    out.copy(keys, offsets[slot]!, offsets[slot + 1]!)
    out.varint(length)
    out.copy(this.values.bytes, from, from + length)
  }

  /** With how many of the same bytes the key in a slot and another one begin, `known` of which are known to be. */
  shared(slot: number, bytes: Uint8Array, start: number, end: number, known: number): number {
    const { keys, offsets } = this.changes
    return known + sharedBytes(keys, offsets[slot]! + known, offsets[slot + 1]!, bytes, start + known, end)
  }

  /** Byte order of the key in a slot and another one, which begin with so many of the same. */
  order(slot: number, bytes: Uint8Array, start: number, end: number, shared: number): number {
    const { keys, offsets } = this.changes
    const from = offsets[slot]!
    const size = offsets[slot + 1]! - from
    if (shared === size || start + shared === end) return size - (end - start)
    return keys[from + shared]! - bytes[start + shared]!
  }

  /** Whether a prefix tombstone of the key came after `sequence`. */
  removed(bytes: Uint8Array, start: number, end: number, sequence: number): boolean {
    if (this.prefixLengths.size === 0) return false
    for (const length of this.prefixLengths) {
      if (end - start < length) continue
      const slot = this.prefixes.find(bytes, start, start + length)
      if (slot >= 0 && this.prefixes.rows[slot * this.prefixes.stride + 1]! > sequence) return true
    }
    return false
  }
}

/**
 * The entries after all changes, sorted by key: what becomes of a block of the checkpoint after the other, then the
 * `rest`. Throws StateError `Damaged` where the checkpoint's are not in order.
 */
export class Merge {
  private readonly slots: Int32Array
  private readonly changes: ChangeSet
  private readonly reader = new EntryReader()
  private at = 0
  /** With how many bytes of the last entry's key the change at hand begins, which does not come before that. */
  private shared = 0
  private readonly order = new KeyOrder()

  /** `slots`: of the changes that count, in key order. */
  constructor(slots: Int32Array, changes: ChangeSet) {
    this.slots = slots
    this.changes = changes
  }

  /** What becomes of this block: the same bytes where nothing of it changed, else others. */
  through(block: Uint8Array): Uint8Array {
    const { reader, changes } = this
    let out: ByteWriter | undefined
    /** Up to here the block stands in `out`, or is not to. */
    let done = 0
    reader.reset(block)
    while (reader.next()) {
      const alike = this.order.next(reader)
      const from = this.at
      const replaced = this.pass(reader, alike)
      const gone = replaced || changes.removed(block, reader.keyStart, reader.keyEnd, -1)
      if (this.at === from && !gone) continue
      out ??= new ByteWriter(block.length + SPARE_BYTES)
      out.copy(block, done, reader.start)
      for (let i = from; i < this.at; i++) changes.writeAlive(this.slots[i]!, out)
      done = gone ? reader.valueEnd : reader.start
    }
    this.order.keep()
    out?.copy(block, done, block.length)
    return out?.written() ?? block
  }

  /** What comes after the checkpoint's last entry. */
  *rest(): Generator<Entry> {
    for (; this.at < this.slots.length; this.at++) yield* this.changes.alive(this.slots[this.at]!)
  }

  /**
   * Goes on to the changes that do not come before this entry; whether the first of them takes its place. `alike`: with how many
   * bytes of the entry before it begins. Where that is more than the change does, the change still comes behind.
   */
  private pass({ bytes, keyStart, keyEnd }: EntryRange, alike: number): boolean {
    if (alike > this.shared) return false
    for (let known = alike; this.at < this.slots.length; this.at++, known = 0) {
      const slot = this.slots[this.at]!
      this.shared = this.changes.shared(slot, bytes, keyStart, keyEnd, known)
      const order = this.changes.order(slot, bytes, keyStart, keyEnd, this.shared)
      if (order >= 0) return order === 0
    }
    return false
  }
}
