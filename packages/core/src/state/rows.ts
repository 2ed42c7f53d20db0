import { ByteWriter } from "../bytes.ts"
import { type Key, type Keyed, readKey } from "../key.ts"
import { END_OF_TIME } from "../operator.ts"
import { AHEAD, Ahead } from "./ahead.ts"
import type { EntryRange } from "./block.ts"
import type { Cell } from "./cell.ts"
import { CellEntries, type CellLayout } from "./cellEntries.ts"
import { beginPut, beginTombstone, copyPut } from "./changes.ts"
import { KeyArena } from "./keyArena.ts"
import { KeyIndex } from "./keyIndex.ts"
import { ValueReader } from "./number.ts"
import type { StateHandle } from "./operator.ts"
import { HANDLE_BYTES } from "./order.ts"
import type { SpillStore, StateSize } from "./spill.ts"
import { SpilledCells } from "./spilledCells.ts"
import { TimeQueue } from "./timeQueue.ts"
import { Weight } from "./weight.ts"

/** What a row takes beside its key, an estimate, and its value by the bytes that its codec makes of it. */
const ROW_BYTES = 300
const HEAP_FACTOR = 3
const GONE = -1

/** What a key holds: values are rows themselves, so that to look at one is to look at one object. */
export abstract class Row {
  /** When something is to happen to it; Infinity: at the end of time. */
  due = Number.POSITIVE_INFINITY
  /** By when it stands in the queue: not later. */
  queued = Number.POSITIVE_INFINITY
  order = 0
  /** Of its key; -1 while it is not among the rows. */
  slot = GONE
  /** Whether a delta has named it, or it came from one: only then does removing it need a tombstone. */
  logged = false
  /** Whether the next delta writes it. */
  changed = false
  /** When it was used last: how often the rows had grown old. */
  epoch = 0
  /** What the codec made of it last; 0 before the first time. */
  bytes = 0
  /** Reads a little of what is behind it, wherever that is in memory. */
  abstract read(): number
}

/**
 * One value a key, each with a time at which it is due, found by the key's bytes: for operators that look at every event of a
 * hundred thousand keys. A value is written as a whole, once a delta however often it changed. In state and in the store they
 * are timed cells without a sub-key.
 */
export class Rows<V extends Row> implements StateHandle {
  readonly keys = new KeyArena()
  private readonly handle: number
  private readonly entries: CellEntries<V>
  private readonly index = new KeyIndex(this.keys)
  /** By slot. */
  private readonly rows: (V | undefined)[] = []
  /**
   * Of one time those come first that have waited for it longest. Where a row's time has moved on, it may stand by an earlier one:
   * that is seen when it comes first.
   */
  private readonly queue = new TimeQueue()
  private changed: V[] = []
  private readonly ahead = new Ahead()
  /** How many were looked at of those that come first, in this process. */
  private passed = 0
  private readonly expectSlot = (slot: number): void => this.ahead.add(slot)
  /** Tombstones of rows that a delta had named. */
  private readonly gone = new ByteWriter(256)
  private spilled: SpilledCells<V> | undefined
  private epoch = 0
  /** What is old among the slots from the one to the other is still to be drained. */
  private drained = 0
  private aged = 0
  private orders = 0
  private readonly weight = new Weight()
  private readonly reader = new ValueReader()

  constructor(layout: Omit<CellLayout<V>, "timed">) {
    this.handle = layout.handle
    this.entries = new CellEntries({ ...layout, timed: true })
  }

  isDue(time: number): boolean {
    return (this.queue.isDue(time) && this.settle() <= time) || this.spilled?.isDue(time) === true
  }

  /** The row that is due first; only while one is. */
  first(): V {
    this.passFirst()
    let due = this.settle()
    for (; this.spilled?.isDue(due) === true; due = this.settle()) this.recall(this.spilled.firstKey())
    return this.used(this.queue.first)
  }

  find({ kind, bytes, start, end }: Keyed): V | undefined {
    const slot = this.index.find(kind, bytes, start, end)
    if (slot >= 0) return this.used(slot)
    return this.spilled === undefined ? undefined : this.recall(readKey(bytes, start, end, kind))
  }

  /** The row of a key, if there is one, is looked at soon: of at most AHEAD keys, then they are brought. */
  expect(bytes: Uint8Array, start: number, end: number): void {
    this.ahead.add(this.index.guess(bytes, start, end))
  }

  bring(): void {
    this.ahead.bring(this.rows, this.keys, this.queue)
  }

  /** The key may have no row yet; the row may have been that of another key. What becomes of it is told by `put`. */
  add({ kind, bytes, start, end }: Keyed, row: V, due: number): void {
    row.due = due
    row.order = this.orders++
    row.logged = false
    row.bytes = 0
    this.place(row, this.keys.add(kind, bytes, start, end))
    this.change(row)
  }

  /** Its value is due then. */
  wait(row: V, due: number): void {
    row.due = due
    if (due < row.queued) this.enqueue(row)
  }

  /** Its value has changed, and is due then. */
  put(row: V, due: number): void {
    if (due !== row.due) this.move(row, due)
    this.change(row)
  }

  remove(row: V): void {
    if (row.logged) {
      const key = beginTombstone(this.gone)
      this.writeKey(row, this.gone)
      this.gone.close(key)
    }
    this.leave(row)
  }

  delta(out: ByteWriter): void {
    out.copy(this.gone.bytes, 0, this.gone.length)
    this.gone.clear()
    const { changed } = this
    for (let i = 0; i < changed.length; i++) {
      if (i % AHEAD === 0) this.bringChanged(i)
      const row = changed[i]!
      row.changed = false
      if (row.slot === GONE) continue
      this.write(row, out)
      row.logged = true
    }
    this.changed = []
  }

  snapshot(out: ByteWriter): void {
    for (const row of this.rows) if (row !== undefined) this.write(row, out)
    for (const [key, value] of this.spilled?.all() ?? []) copyPut(out, key, value)
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
    this.take(this.keys.add(kind, bytes, start, end), cell)
    return true
  }

  /** Rows belong to no namespace. */
  forget(): void {}

  size(): StateSize {
    const { keys, index, queue, spilled } = this
    const columns = keys.byteSize + index.byteSize + queue.byteSize
    return {
      keys: keys.count + (spilled?.rows ?? 0),
      bytes: keys.count * ROW_BYTES + columns + this.weight.of(keys.count) * HEAP_FACTOR,
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
      if (row.due <= row.queued) return row.due
      row.queued = queue.insert(row.slot, row.due, row.order)
      this.passFirst()
    }
    return END_OF_TIME
  }

  /** One more is looked at of those that come first: the next ones of them are brought, where it is time to. */
  private passFirst(): void {
    if (this.passed++ % AHEAD !== 0) return
    this.queue.tellFirst(AHEAD, this.expectSlot)
    this.bring()
  }

  private used(slot: number): V {
    const row = this.rows[slot]!
    row.epoch = this.epoch
    return row
  }

  /** Brings a row back from the store. */
  private recall(key: Key): V | undefined {
    const [cell] = this.spilled!.take(key)
    if (cell === undefined) return undefined
    this.entries.writeRowKey(key)
    const { bytes, length } = this.entries.key
    this.reader.reset(bytes.subarray(0, length))
    this.reader.skip(HANDLE_BYTES)
    const kind = this.reader.varint()
    const end = this.reader.varint() + this.reader.at
    return this.take(this.keys.add(kind, bytes, this.reader.at, end), cell)
  }

  /** Takes up a row that a delta had named. */
  private take(slot: number, { value: row, due, order, bytes }: Cell<V>): V {
    row.due = due
    row.order = order
    row.logged = true
    row.bytes = bytes
    this.weight.weigh(0, bytes)
    this.orders = Math.max(this.orders, order + 1)
    this.place(row, slot)
    return row
  }

  private place(row: V, slot: number): void {
    row.slot = slot
    row.epoch = this.epoch
    this.index.add(slot)
    this.rows[slot] = row
    this.enqueue(row)
  }

  /** The next ones to be written: rows change in the order of events. */
  private bringChanged(from: number): void {
    const { changed, ahead } = this
    const end = Math.min(changed.length, from + AHEAD)
    for (let i = from; i < end; i++) ahead.add(changed[i]!.slot)
    this.bring()
  }

  private change(row: V): void {
    if (row.changed) return
    row.changed = true
    this.changed.push(row)
  }

  /** Its place in the queue moves along at once where that costs little. */
  private move(row: V, due: number): void {
    row.due = due
    row.order = this.orders++
    if (due <= row.queued) this.enqueue(row)
    else if (this.queue.follow(row.slot, due, row.order)) row.queued = due
  }

  private enqueue(row: V): void {
    row.queued = row.due
    this.queue.put(row.slot, row.due, row.order)
  }

  /** The row is in memory no longer. */
  private leave(row: V): void {
    const { slot } = row
    row.slot = GONE
    this.weight.leave(row.bytes)
    this.rows[slot] = undefined
    this.queue.remove(slot)
    this.index.remove(slot)
    this.keys.remove(slot)
  }

  private cellOf(value: V): Cell<V> {
    const { due, order, slot, bytes } = value
    const key = this.keys.keyOf(slot)
    return { key, sub: undefined, value, due, order, place: GONE, logged: true, removed: false, bytes }
  }

  private writeKey({ slot }: V, out: ByteWriter): void {
    const { keys } = this
    this.entries.writeRowBytes(keys.kindOf(slot), keys.bytes, keys.startOf(slot), keys.endOf(slot), out)
  }

  /** Straight to where it goes: copies of many short values would cost more than making them. */
  private write(row: V, out: ByteWriter): void {
    const before = row.bytes
    const key = beginPut(out)
    this.writeKey(row, out)
    out.close(key)
    const value = out.open()
    row.bytes = this.entries.writeValue(row.due, row.order, row, out)
    out.close(value)
    this.weight.weigh(before, row.bytes)
  }
}
