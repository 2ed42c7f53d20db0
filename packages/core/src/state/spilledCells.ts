import type { Key } from "../key.ts"
import type { Cell } from "./cell.ts"
import { type CellEntries, DUE_PREFIX_BYTES } from "./cellEntries.ts"
import { readOrdered } from "./order.ts"
import { entriesOf, type SpillStore } from "./spill.ts"

/**
 * The cells that are in the store and nowhere else, and beside them a list of what is due when. A key's cells come back
 * all at once: one that is written to needs to know of the others.
 */
export class SpilledCells<V> {
  /** Keys. */
  rows = 0
  bytes = 0
  /** When the first one is due; undefined if none ever is. */
  private nextDue: number | undefined
  private readonly store: SpillStore
  private readonly entries: CellEntries<V>

  constructor(store: SpillStore, entries: CellEntries<V>) {
    this.store = store
    this.entries = entries
  }

  /** All cells of a key. They have been logged. */
  put(cells: readonly Cell<V>[]): void {
    this.rows++
    for (const cell of cells) this.putCell(cell)
  }

  /** The cells of a key, which are in the store no longer; empty if it has none. */
  take(key: Key): readonly Cell<V>[] {
    if (this.rows === 0) return []
    this.entries.writeRowKey(key)
    const found = [...entriesOf(this.store, this.entries.key.written().slice())]
    if (found.length === 0) return []
    this.rows--
    const cells = found.map(([name, value]) => this.takeCell(key, name, value))
    if (cells.some(cell => cell.due === this.nextDue)) this.nextDue = this.findNextDue()
    return cells
  }

  isDue(watermark: number): boolean {
    return this.nextDue !== undefined && this.nextDue <= watermark
  }

  /** The key of which something is due first. Only while something is. */
  firstKey(): Key {
    return this.entries.readDue(this.first()![1])
  }

  *all(): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
    this.entries.writePrefix()
    yield* entriesOf(this.store, this.entries.key.written().slice())
  }

  private putCell(cell: Cell<V>): void {
    const { entries, store } = this
    entries.write(cell)
    store.put(entries.key.written(), entries.value.written())
    this.bytes += entries.key.length + entries.value.length
    if (!entries.layout.timed) return
    entries.writeDue(cell)
    store.put(entries.key.written(), entries.value.written())
    this.nextDue = Math.min(this.nextDue ?? cell.due, cell.due)
  }

  private takeCell(key: Key, name: Uint8Array, value: Uint8Array): Cell<V> {
    const { entries, store } = this
    const [, sub] = entries.readKeys(name, 0, name.length)
    const cell = entries.read(key, sub, value, 0, value.length)
    store.delete(name)
    this.bytes -= name.length + value.length
    if (entries.layout.timed) {
      entries.writeDue(cell)
      store.delete(entries.key.written())
    }
    return cell
  }

  private findNextDue(): number | undefined {
    const first = this.first()
    return first === undefined ? undefined : readOrdered(first[0], DUE_PREFIX_BYTES)
  }

  private first(): readonly [key: Uint8Array, value: Uint8Array] | undefined {
    this.entries.writeDuePrefix()
    const prefix = this.entries.key.written().slice()
    return this.store.scan(prefix, prefix, 1)[0]
  }
}
