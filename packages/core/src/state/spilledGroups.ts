import { StateError } from "./error.ts"
import { type Group, type GroupLayout, Rows } from "./group.ts"
import type { GroupEntries } from "./groupEntries.ts"
import { HANDLE_BYTES, readOrdered } from "./order.ts"
import { entriesOf, type SpillStore } from "./spill.ts"
import type { Table } from "./table.ts"

/** Entries that are deleted of the store in one call. */
const SWEPT_AT_ONCE = 65_536

/**
 * What groups have in the store: entries as they stand in a checkpoint, and beside them a list of keys by arrival. Of a key
 * that is in memory as well, the store's entry is out of date. Nothing is there before `use`.
 */
export class SpilledGroups {
  private readonly entries: GroupEntries
  private readonly layout: GroupLayout
  private store: SpillStore | undefined
  /** Prefixes of namespaces that were dropped. */
  private garbage: Uint8Array[] = []

  constructor(entries: GroupEntries, layout: GroupLayout) {
    this.entries = entries
    this.layout = layout
  }

  use(store: SpillStore): void {
    this.store = store
  }

  /** A slot's entry goes there. Behind `beginKeys` of its part. */
  put(group: Group, rows: Rows, part: number, slot: number): void {
    const { entries } = this
    entries.make(rows, part, slot)
    this.store!.put(entries.key.written(), entries.value.written())
    group.spilledBytes += entries.key.length + entries.value.length
  }

  /** The value of a key that comes back, if there is one. Its entry stays, and counts no more. */
  take(group: Group, part: number, bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
    const value = this.get(group, part, bytes, start, end)
    if (value !== undefined) group.spilledBytes -= this.entries.key.length + value.length
    return value
  }

  /** All entries of a part, those that are out of date as well. */
  all(group: Group, part: number): Iterable<readonly [key: Uint8Array, value: Uint8Array]> {
    const { entries } = this
    entries.beginKeys(group, part)
    entries.key.length = HANDLE_BYTES
    return entriesOf(this.store!, entries.key.written().slice())
  }

  /** Shows the row of a key, in rows of its own: what is only looked at does not become young by it. False: there is none. */
  show(group: Group, key: Uint8Array, show: (rows: Rows, slot: number) => void): boolean {
    const value = this.get(group, 0, key, 0, key.length)
    if (value === undefined) return false
    const rows = new Rows(this.layout, 1)
    this.entries.readRow(group, rows, rows.table.upsert(key, 0, key.length), value, 0, value.length)
    show(rows, 0)
    return true
  }

  // ── keys by arrival ────────────────────────────────────────────────────────────────────────────────────────────

  list(group: Group, { keys, offsets }: Table, slot: number, arrival: number): void {
    this.store!.put(this.entries.listKey(group, arrival), keys.subarray(offsets[slot]!, offsets[slot + 1]!))
  }

  /** Up to `limit` of the list, from an arrival on. */
  listed(group: Group, from: number, limit: number): readonly (readonly [arrival: number, key: Uint8Array])[] {
    const begin = this.entries.listKey(group, from).slice()
    const entries = this.store!.scan(begin.subarray(0, HANDLE_BYTES), begin, limit)
    return entries.map(([key, value]) => [readOrdered(key, HANDLE_BYTES), value] as const)
  }

  /** The same as `show`, of a key that is listed. */
  showListed(group: Group, key: Uint8Array, show: (rows: Rows, slot: number) => void): void {
    if (!this.show(group, key, show))
      throw new StateError("Damaged", "Spilled state lacks a key that its list of keys has")
  }

  // ── namespaces that are gone ───────────────────────────────────────────────────────────────────────────────────

  drop(namespace: number): void {
    this.garbage.push(this.entries.prefixOf(namespace).written().slice())
  }

  /** Deletes what was dropped, bit by bit. Answers how many entries that were. */
  sweep(limit: number): number {
    let left = limit
    for (let prefix = this.garbage[0]; prefix !== undefined && left > 0; prefix = this.garbage[0]) {
      const asked = Math.min(left, SWEPT_AT_ONCE)
      const deleted = this.store!.deletePrefix(prefix, asked)
      left -= deleted
      if (deleted < asked) this.garbage.shift()
    }
    return limit - left
  }

  private get(group: Group, part: number, bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
    const { entries } = this
    entries.beginKeys(group, part)
    entries.key.copy(bytes, start, end)
    return this.store!.get(entries.key.written())
  }
}
