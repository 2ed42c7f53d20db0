import { ByteWriter } from "../bytes.ts"
import { type Key, type Keyed, readKey } from "../key.ts"
import { END_OF_TIME } from "../operator.ts"
import type { EntryRange } from "./block.ts"
import type { Cell } from "./cell.ts"
import { CellEntries, type CellLayout } from "./cellEntries.ts"
import { writePut, writeTombstone } from "./changes.ts"
import { KeyArena } from "./keyArena.ts"
import { KeyIndex } from "./keyIndex.ts"
import { ValueReader } from "./number.ts"
import type { StateHandle } from "./operator.ts"
import { HANDLE_BYTES } from "./order.ts"
import type { SpillStore, StateSize } from "./spill.ts"
import { SpilledCells } from "./spilledCells.ts"
import { TimeHeap } from "./timeHeap.ts"

/** What a row takes beside its key, an estimate, and its value by the bytes that its codec makes of it. */
const ROW_BYTES = 300
const HEAP_FACTOR = 3
const GONE = -1

/** What a key holds. */
export interface Row<V> {
  readonly value: V
  /** When something is to happen to it; Infinity: at the end of time. */
  due: number
  readonly order: number
  /** Of its key; -1 once it has been removed. */
  slot: number
  /** Whether a delta has named it, or it came from one: only then does removing it need a tombstone. */
  logged: boolean
  /** Whether the next delta writes it. */
  changed: boolean
  /** When it was used last: how often the rows had grown old. */
  epoch: number
  /** What the codec made of the value last; 0 before the first time. */
  bytes: number
}

/**
 * One value a key, each with a time at which it is due, found by the key's bytes: for operators that look at every event of a
 * hundred thousand keys. A value is written as a whole, once a delta however often it changed. In state and in the store they
 * are timed cells without a sub-key.
 */
export class Rows<V> implements StateHandle {
  readonly keys = new KeyArena()
  private readonly handle: number
  private readonly entries: CellEntries<V>
  private readonly index = new KeyIndex(this.keys)
  /** By slot. */
  private readonly rows: (Row<V> | undefined)[] = []
  /** Where a row's time has moved on, it may stand by an earlier one: that is seen when it comes first. */
  private readonly queue = new TimeHeap()
  private changed: Row<V>[] = []
  /** Tombstones of rows that a delta had named. */
  private readonly gone = new ByteWriter(256)
  private spilled: SpilledCells<V> | undefined
  private epoch = 0
  /** What is old among the slots from the one to the other is still to be drained. */
  private drained = 0
  private aged = 0
  private orders = 0
  private valueBytes = 0
  private readonly reader = new ValueReader()

  constructor(layout: Omit<CellLayout<V>, "timed">) {
    this.handle = layout.handle
    this.entries = new CellEntries({ ...layout, timed: true })
  }

  isDue(time: number): boolean {
    return (this.queue.isDue(time) && this.settle() <= time) || this.spilled?.isDue(time) === true
  }

  /** The row that is due first; only while one is. */
  first(): Row<V> {
    let due = this.settle()
    for (; this.spilled?.isDue(due) === true; due = this.settle()) this.recall(this.spilled.firstKey())
    return this.used(this.queue.first)
  }

  find({ kind, bytes, start, end }: Keyed): Row<V> | undefined {
    const slot = this.index.find(kind, bytes, start, end)
    if (slot >= 0) return this.used(slot)
    return this.spilled === undefined ? undefined : this.recall(readKey(bytes, start, end, kind))
  }

  /** The key may have no row yet. Its `value` is the caller's to change; it is told by `put`. */
  add({ kind, bytes, start, end }: Keyed, value: V, due: number): Row<V> {
    const row = this.make(kind, bytes, start, end, value, due, this.orders++)
    row.changed = true
    this.changed.push(row)
    return row
  }

  /** Its value is due then. */
  wait(row: Row<V>, due: number): void {
    row.due = due
    if (due < this.queue.timeOf(row.slot)) this.queue.put(row.slot, due, row.order)
  }

  /** Its value has changed, and is due then. */
  put(row: Row<V>, due: number): void {
    this.wait(row, due)
    if (row.changed) return
    row.changed = true
    this.changed.push(row)
  }

  remove(row: Row<V>): void {
    if (row.logged) {
      this.writeKey(row)
      writeTombstone(this.gone, this.entries.key)
    }
    this.leave(row)
  }

  delta(out: ByteWriter): void {
    out.copy(this.gone.bytes, 0, this.gone.length)
    this.gone.clear()
    for (const row of this.changed) {
      if (row.slot === GONE) continue
      this.write(row, out)
      row.logged = true
      row.changed = false
    }
    this.changed = []
  }

  snapshot(out: ByteWriter): void {
    for (const row of this.rows) if (row !== undefined) this.write(row, out)
    const { key, value } = this.entries
    for (const [name, bytes] of this.spilled?.all() ?? []) {
      key.clear()
      key.copy(name, 0, name.length)
      value.clear()
      value.copy(bytes, 0, bytes.length)
      writePut(out, key, value)
    }
  }

  restore(handle: number, _namespace: number, entry: EntryRange, removed: boolean): boolean {
    if (handle !== this.handle) return false
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = entry
    this.reader.reset(bytes, keyStart, keyEnd)
    this.reader.skip(HANDLE_BYTES)
    const kind = this.reader.varint()
    const end = this.reader.varint() + this.reader.at
    const start = this.reader.at
    const present = this.find({ kind, bytes, start, end })
    if (present !== undefined) this.leave(present)
    if (removed) return true
    const cell = this.entries.read("", undefined, bytes, valueStart, valueEnd)
    this.take(this.make(kind, bytes, start, end, cell.value, cell.due, cell.order), cell)
    return true
  }

  /** Rows belong to no namespace. */
  forget(): void {}

  size(): StateSize {
    const { keys, index, queue, spilled } = this
    const columns = keys.byteSize + index.byteSize + queue.byteSize
    return {
      keys: keys.count + (spilled?.rows ?? 0),
      bytes: keys.count * ROW_BYTES + columns + this.valueBytes * HEAP_FACTOR,
      spilledKeys: spilled?.rows ?? 0,
      spilledBytes: spilled?.bytes ?? 0
    }
  }

  age(store: SpillStore): void {
    this.spilled ??= new SpilledCells(store, this.entries)
    if (this.drained < this.aged) return
    this.epoch++
    this.drained = 0
    this.aged = this.rows.length
  }

  drain(limit: number): number {
    const { rows, spilled } = this
    if (spilled === undefined) return 0
    let left = limit
    for (; left > 0 && this.drained < this.aged; this.drained++) {
      const row = rows[this.drained]
      if (row === undefined || row.epoch === this.epoch) continue
      spilled.put([this.cellOf(row)])
      this.leave(row)
      left--
    }
    return limit - left
  }

  /** The time of the row that is due first in memory, which stands first from now on. */
  private settle(): number {
    const { queue } = this
    while (queue.size > 0) {
      const row = this.rows[queue.first]!
      if (row.due <= queue.firstTime) return row.due
      queue.put(row.slot, row.due, row.order)
    }
    return END_OF_TIME
  }

  private used(slot: number): Row<V> {
    const row = this.rows[slot]!
    row.epoch = this.epoch
    return row
  }

  /** Brings a row back from the store. */
  private recall(key: Key): Row<V> | undefined {
    const [cell] = this.spilled!.take(key)
    if (cell === undefined) return undefined
    this.entries.writeRowKey(key)
    const { bytes, length } = this.entries.key
    this.reader.reset(bytes.subarray(0, length))
    this.reader.skip(HANDLE_BYTES)
    const kind = this.reader.varint()
    const end = this.reader.varint() + this.reader.at
    return this.take(this.make(kind, bytes, this.reader.at, end, cell.value, cell.due, cell.order), cell)
  }

  private make(
    kind: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    value: V,
    due: number,
    order: number
  ): Row<V> {
    const slot = this.keys.add(kind, bytes, start, end)
    const row = { value, due, order, slot, logged: false, changed: false, epoch: this.epoch, bytes: 0 }
    this.index.add(slot)
    this.rows[slot] = row
    this.queue.put(slot, due, order)
    return row
  }

  /** Takes up a row that was made before. */
  private take(row: Row<V>, { bytes, order }: Cell<V>): Row<V> {
    row.logged = true
    row.bytes = bytes
    this.valueBytes += bytes
    this.orders = Math.max(this.orders, order + 1)
    return row
  }

  /** The row is in memory no longer. */
  private leave(row: Row<V>): void {
    const { slot } = row
    row.slot = GONE
    this.valueBytes -= row.bytes
    this.rows[slot] = undefined
    this.queue.remove(slot)
    this.index.remove(slot)
    this.keys.remove(slot)
  }

  private cellOf({ value, due, order, slot, bytes }: Row<V>): Cell<V> {
    const key = this.keys.keyOf(slot)
    return { key, sub: undefined, value, due, order, place: GONE, logged: true, removed: false, bytes }
  }

  private writeKey({ slot }: Row<V>): void {
    const { bytes, starts, lengths, kinds } = this.keys
    const start = starts[slot]!
    this.entries.writeRowBytes(kinds[slot]!, bytes, start, start + lengths[slot]!)
  }

  private write(row: Row<V>, out: ByteWriter): void {
    const before = row.bytes
    this.writeKey(row)
    this.entries.writeValue(row)
    this.valueBytes += row.bytes - before
    writePut(out, this.entries.key, this.entries.value)
  }
}
