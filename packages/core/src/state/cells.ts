import type { ByteWriter } from "../bytes.ts"
import type { Key } from "../key.ts"
import { END_OF_TIME } from "../operator.ts"
import type { EntryRange, EntryReader } from "./block.ts"
import { behind, type Cell, cellsOf, compareKeys, type Row, Several } from "./cell.ts"
import { CellEntries, type CellLayout, rowEnd } from "./cellEntries.ts"
import { copyPut, writePut, writeTombstone } from "./changes.ts"
import type { StateHandle } from "./operator.ts"
import { DueQueue } from "./queue.ts"
import { RestoredCells } from "./restoredCells.ts"
import type { SpillStore, StateSize } from "./spill.ts"
import { SpilledCells } from "./spilledCells.ts"
import { Weight } from "./weight.ts"

export type { Cell } from "./cell.ts"

/** What a cell and a key take: estimates, from the heap with 200,000 keys. */
const CELL_BYTES = 200
const ROW_BYTES = 100
const NOTHING = { rows: 0, bytes: 0 }
/** What a JavaScript value takes, by the bytes that its codec makes of it. */
const HEAP_FACTOR = 2

/**
 * State by key and sub-key, one entry for each cell, so that a list or a map is never written as a whole. Removing a
 * cell leaves one tombstone, so there are never more of them than there were puts. A key's cells are young, old, spilled
 * or still as they were restored, all of them together: in one of these places, and in no other.
 */
export class Cells<V> implements StateHandle {
  private readonly entries: CellEntries<V>
  private readonly timed: boolean
  private readonly handle: number
  private young = new Map<Key, Row<V>>()
  private old: Map<Key, Row<V>> | undefined
  private spilled: SpilledCells<V> | undefined
  private restored: RestoredCells<V> | undefined
  /** Of the cells in memory. */
  private readonly queue = new DueQueue<Cell<V>>()
  /** In the order in which they are written: of one key and sub-key, what was removed stands before what came after. */
  private readonly dirty = new Set<Cell<V>>()
  private count = 0
  private readonly weight = new Weight()
  private orders = 0

  constructor(layout: CellLayout<V>) {
    this.entries = new CellEntries(layout)
    this.timed = layout.timed
    this.handle = layout.handle
  }

  /** Whether there is a cell that is due. At the end of time every one is that has a time. */
  isDue(watermark: number): boolean {
    const { first } = this.queue
    if (first !== undefined && first.due <= watermark) return true
    return this.restored?.isDue(watermark) === true || this.spilled?.isDue(watermark) === true
  }

  /** What is due first. */
  first(): Cell<V> | undefined {
    // Of what is due at one time the order decides, which the queue knows: all of that time have to stand in it.
    while (this.restored?.isDue(this.queue.first?.due ?? END_OF_TIME) === true) this.addAll(this.restored.takeDue())
    while (this.spilled?.isDue(this.queue.first?.due ?? END_OF_TIME) === true) this.recall(this.spilled.firstKey())
    return this.queue.first
  }

  find(key: Key, sub: Key | undefined): Cell<V> | undefined {
    const row = this.row(key)
    if (row instanceof Several) return row.cells.get(sub)
    return Object.is(row?.sub, sub) ? row : undefined
  }

  /** The cells of a key, by their sub-keys: their order in memory would depend on what was restored. */
  all(key: Key): readonly Cell<V>[] {
    const row = this.row(key)
    return row === undefined ? [] : cellsOf(row).sort((a, b) => compareKeys(a.sub!, b.sub!))
  }

  /** The cells of a key as they come: for those whose order does not matter. */
  some(key: Key): readonly Cell<V>[] {
    const row = this.row(key)
    return row === undefined ? [] : cellsOf(row)
  }

  /** The sub-key behind all others of a key that has numbers for sub-keys. */
  next(key: Key): number {
    const row = this.row(key)
    if (row instanceof Several) return row.next
    return row === undefined ? 0 : behind(row)
  }

  put(key: Key, sub: Key | undefined, value: V, due: number): void {
    const cell = this.find(key, sub) ?? this.make(key, sub, value)
    cell.value = value
    cell.due = due
    if (this.timed) this.queue.place(cell)
    this.dirty.add(cell)
  }

  remove(cell: Cell<V>): void {
    const row = this.row(cell.key)
    if (row instanceof Several) row.cells.delete(cell.sub)
    if (!(row instanceof Several) || row.cells.size === 0) this.young.delete(cell.key)
    this.leave(cell)
    cell.removed = true
    if (cell.logged) this.dirty.add(cell)
    else this.dirty.delete(cell)
  }

  delta(out: ByteWriter): void {
    for (const cell of this.dirty) {
      if (cell.removed) this.writeRemoval(out, cell)
      else this.write(out, cell)
      cell.logged = true
    }
    this.dirty.clear()
  }

  snapshot(out: ByteWriter): void {
    for (const rows of [this.young, this.old ?? []])
      for (const [, row] of rows) for (const cell of cellsOf(row)) this.write(out, cell)
    for (const entries of [this.restored?.all(), this.spilled?.all()])
      for (const [key, value] of entries ?? []) copyPut(out, key, value)
  }

  restore(handle: number, _namespace: number, entry: EntryRange, removed: boolean): boolean {
    if (handle !== this.handle) return false
    if (this.staysAsItComes(entry)) this.keepOne(entry, removed)
    else this.putBack(entry, removed)
    return true
  }

  private putBack(entry: EntryRange, removed: boolean): void {
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = entry
    const [key, sub] = this.entries.readKeys(bytes, keyStart, keyEnd)
    const present = this.find(key, sub)
    if (present !== undefined) {
      present.logged = false
      this.remove(present)
    }
    if (!removed) this.add(this.entries.read(key, sub, bytes, valueStart, valueEnd))
  }

  /** While nothing is anywhere else; one that is alone with its key, and is never due. */
  private staysAsItComes(entry: EntryRange): boolean {
    if (this.timed || this.young.size > 0 || this.spilled !== undefined) return false
    return rowEnd(entry) === entry.keyEnd
  }

  private keepOne(entry: EntryRange, removed: boolean): void {
    this.restored ??= new RestoredCells(this.entries)
    if (removed) this.restored.remove(entry)
    else this.restored.put(entry)
    this.forgetEmpty()
  }

  /** While nothing is anywhere else, entries stay as they come. */
  keep(handle: number, entries: EntryReader): boolean {
    if (handle !== this.handle || this.young.size > 0 || this.spilled !== undefined) return false
    this.restored ??= new RestoredCells(this.entries)
    this.restored.add(entries)
    this.orders = Math.max(this.orders, this.restored.orders)
    return true
  }

  /** Cells belong to no namespace. */
  forget(): void {}

  size(): StateSize {
    const rows = this.young.size + (this.old?.size ?? 0)
    const spilledKeys = this.spilled?.rows ?? 0
    const { rows: restoredKeys, bytes: restoredBytes } = this.restored ?? NOTHING
    return {
      keys: rows + restoredKeys + spilledKeys,
      bytes: this.count * CELL_BYTES + rows * ROW_BYTES + this.weight.of(this.count) * HEAP_FACTOR + restoredBytes,
      spilledKeys,
      spilledBytes: this.spilled?.bytes ?? 0
    }
  }

  age(store: SpillStore): void {
    this.spilled ??= new SpilledCells(store, this.entries)
    if (this.old !== undefined || this.young.size === 0) return
    this.old = this.young
    this.young = new Map()
  }

  drain(limit: number): number {
    const { old, spilled } = this
    if (spilled === undefined) return 0
    let left = limit - this.drainRestored(spilled, limit)
    if (old === undefined) return limit - left
    for (const [key, row] of old) {
      if (left <= 0) return limit - left
      const cells = cellsOf(row)
      // First: of a value that was changed in its place, and never put, the codec may make another number of bytes now.
      for (const cell of cells) this.leave(cell)
      spilled.put(cells)
      old.delete(key)
      left -= cells.length
    }
    this.old = undefined
    return limit - left
  }

  /** What was restored and not used since is older than all else. */
  private drainRestored(spilled: SpilledCells<V>, limit: number): number {
    let drained = 0
    while (this.restored !== undefined && drained < limit) {
      const cells = this.restored.takeFirst()
      spilled.put(cells)
      drained += cells.length
      this.forgetEmpty()
    }
    return drained
  }

  /** What a key holds, young from now on. */
  private row(key: Key): Row<V> | undefined {
    const row = this.young.get(key)
    if (row !== undefined) return row
    if (this.restored !== undefined) {
      const cells = this.restored.take(key)
      this.addAll(cells)
      if (cells.length > 0) return this.young.get(key)
    }
    return this.spilled === undefined ? undefined : this.recall(key)
  }

  /** Takes up what was restored, which is there no longer. */
  private addAll(cells: readonly Cell<V>[]): void {
    for (const cell of cells) this.add(cell)
    this.forgetEmpty()
  }

  private forgetEmpty(): void {
    if (this.restored?.rows === 0) this.restored = undefined
  }

  private recall(key: Key): Row<V> | undefined {
    const row = this.old?.get(key)
    if (row !== undefined) {
      this.old!.delete(key)
      this.young.set(key, row)
      return row
    }
    for (const cell of this.spilled!.take(key)) this.add(cell)
    return this.young.get(key)
  }

  private make(key: Key, sub: Key | undefined, value: V): Cell<V> {
    const due = Number.POSITIVE_INFINITY
    const order = this.orders++
    const cell: Cell<V> = { key, sub, value, due, order, place: -1, logged: false, removed: false, bytes: 0 }
    this.place(cell)
    this.count++
    return cell
  }

  /** Takes up a cell that was made before. Its key is young. */
  private add(cell: Cell<V>): void {
    this.place(cell)
    this.count++
    this.weight.weigh(0, cell.bytes)
    this.orders = Math.max(this.orders, cell.order + 1)
    if (this.timed) this.queue.place(cell)
  }

  /** The cell is in memory no longer. */
  private leave(cell: Cell<V>): void {
    this.queue.remove(cell)
    this.count--
    this.weight.leave(cell.bytes)
  }

  private place(cell: Cell<V>): void {
    const row = this.young.get(cell.key)
    if (row === undefined) this.young.set(cell.key, cell)
    else if (row instanceof Several) row.add(cell)
    else {
      const several = new Several<V>()
      several.add(row)
      several.add(cell)
      this.young.set(cell.key, several)
    }
  }

  private writeRemoval(out: ByteWriter, cell: Cell<V>): void {
    this.entries.writeKey(cell)
    writeTombstone(out, this.entries.key)
  }

  private write(out: ByteWriter, cell: Cell<V>): void {
    const before = cell.bytes
    this.entries.write(cell)
    this.weight.weigh(before, cell.bytes)
    writePut(out, this.entries.key, this.entries.value)
  }
}
