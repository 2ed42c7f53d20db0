import type { ByteWriter } from "../bytes.ts"
import type { EntryRange } from "./block.ts"
import { writePrefixTombstone, writePut } from "./changes.ts"
import { StateError } from "./error.ts"
import { ARRIVAL, Group, type GroupLayout, OldRows, Rows, type Visit } from "./group.ts"
import { GroupEntries, ROWS } from "./groupEntries.ts"
import type { StateHandle } from "./operator.ts"
import { HANDLE_BYTES, readOrdered } from "./order.ts"
import { entriesOf, noState, type SpillStore, type StateSize } from "./spill.ts"
import type { Table } from "./table.ts"

/**
 * Typed columns by namespace and key: what a window operator keeps. A namespace is dropped as a whole, by one prefix
 * tombstone. The keys of a namespace keep their order of arrival over any restore, for results that depend on nothing
 * but the log. In the store entries stand as they do in a checkpoint, and beside them a list of keys by arrival.
 */
export class GroupedState implements StateHandle {
  readonly groups = new Map<number, Group>()
  private readonly entries: GroupEntries
  private readonly layout: GroupLayout
  private epoch = 1
  private dropped: number[] = []
  private expected = 16
  private store: SpillStore | undefined
  /** Prefixes in the store of namespaces that were dropped. */
  private garbage: Uint8Array[] = []

  constructor(id: string, layout: GroupLayout) {
    this.entries = new GroupEntries(id, layout)
    this.layout = layout
  }

  /** The kind of all keys (see Keyed), 0 before the first. */
  get keyKind(): number {
    return this.entries.keyKind
  }
  set keyKind(kind: number) {
    this.entries.keyKind = kind
  }

  /** The group of a namespace, made if there is none. As large from the start as the last one dropped was. */
  open(namespace: number): Group {
    const present = this.groups.get(namespace)
    if (present !== undefined) return present
    if (this.garbage.length > 0) this.sweep(Number.MAX_SAFE_INTEGER)
    const group = new Group(namespace, this.layout, this.expected)
    this.groups.set(namespace, group)
    return group
  }

  /** Forgets a namespace with all its keys. */
  drop(group: Group): void {
    this.forget(group.namespace)
    this.expected = Math.max(16, group.young.table.count)
    if (group.logged) this.dropped.push(group.namespace)
  }

  /** The slot among the young of a key, entered as touched in this transaction. A new key adds to the arrivals. */
  enter(group: Group, bytes: Uint8Array, start: number, end: number): number {
    const { table } = group.young
    const before = table.count
    const slot = table.upsert(bytes, start, end)
    if (slot === before && !this.recall(group, 0, slot, bytes, start, end)) {
      table.rows[slot * table.stride + ARRIVAL] = group.arrivals++
      group.keys++
    }
    table.touch(slot, this.epoch)
    return slot
  }

  /** Adds an element (with the key it belongs to, in one range of bytes) to a set; false if it was there. */
  addTo(group: Group, set: number, bytes: Uint8Array, start: number, end: number): boolean {
    const table = group.young.sets[set]!
    const before = table.count
    const slot = table.upsert(bytes, start, end)
    if (table.count === before || this.recall(group, set + 1, slot, bytes, start, end)) return false
    table.touch(slot, this.epoch)
    return true
  }

  /** Shows rows and slots of the keys that came `from`-th and later, before the `to`-th, in that order. */
  visit(group: Group, from: number, to: number, show: (rows: Rows, slot: number) => void): void {
    const { young, old } = group
    if (group.shuffled || group.spilled || old !== undefined) this.visitPlaces(group, from, to, show)
    else for (let slot = from; slot < to; slot++) show(young, slot)
  }

  /** Shows the row of one key, if it is there. What is only looked at does not become young by it. */
  look(group: Group, bytes: Uint8Array, start: number, end: number, show: (rows: Rows, slot: number) => void): void {
    const { young, old } = group
    const slot = young.table.find(bytes, start, end)
    if (slot >= 0) return show(young, slot)
    const place = old?.find(0, bytes, start, end) ?? -1
    if (place >= 0) return show(old!.rows, place)
    if (group.spilled) this.showStored(group, bytes.subarray(start, end), show)
  }

  delta(out: ByteWriter): void {
    for (const namespace of this.dropped) this.writeDrop(out, namespace)
    this.dropped = []
    for (const group of this.groups.values()) this.writeTouched(out, group)
    this.epoch++
  }

  snapshot(out: ByteWriter): void {
    for (const group of this.groups.values())
      for (let part = 0; part <= this.layout.sets; part++) this.writePart(out, group, part)
  }

  restore(handle: number, namespace: number, entry: EntryRange, removed: boolean): boolean {
    if (handle < ROWS || handle > ROWS + this.layout.sets || removed) return false
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = entry
    const start = keyStart + HANDLE_BYTES + 1
    this.adopt(start > keyEnd ? undefined : bytes[start - 1])
    const group = this.open(namespace)
    group.logged = true
    const part = handle - ROWS
    const table = group.young.part(part)
    const before = table.count
    const slot = table.upsert(bytes, start, keyEnd)
    const isNew = slot === before && !this.recall(group, part, slot, bytes, start, keyEnd)
    if (part > 0) return true
    this.entries.readRow(group, group.young, slot, bytes, valueStart, valueEnd)
    if (isNew) group.keys++
    const arrival = table.rows[slot * table.stride + ARRIVAL]!
    // Entries come in the order of their keys: aged once, the group takes earlier arrivals for listed ones.
    if (isNew && arrival < Math.max(group.listed, group.old?.arrivals ?? 0)) this.list(group, table, slot, arrival)
    return true
  }

  forget(namespace: number): void {
    if (this.groups.get(namespace)?.spilled === true)
      this.garbage.push(this.entries.prefixOf(namespace).written().slice())
    this.groups.delete(namespace)
  }

  size(): StateSize {
    const size = noState()
    for (const group of this.groups.values()) {
      size.keys += group.keys
      size.bytes += group.bytes()
      size.spilledKeys += group.keys - group.held
      size.spilledBytes += group.spilledBytes
    }
    return size
  }

  age(store: SpillStore): void {
    this.store = store
    for (const group of this.groups.values()) {
      if (group.old !== undefined || group.visit !== undefined || group.young.table.count === 0) continue
      group.old = new OldRows(group.young, group.arrivals)
      group.young = new Rows(this.layout, group.young.table.count >> 2)
      group.shuffled = true
    }
  }

  drain(limit: number): number {
    let left = limit - this.sweep(limit)
    for (const group of this.groups.values()) {
      const { old } = group
      if (left === 0) break
      if (old === undefined || group.visit !== undefined) continue
      left -= this.drainOld(group, old, left)
    }
    return limit - left
  }

  private adopt(kind: number | undefined): void {
    if (kind === undefined || (this.keyKind !== 0 && this.keyKind !== kind))
      throw new StateError("Damaged", `A state entry's key is of kind ${kind}, the others of kind ${this.keyKind}`)
    this.keyKind = kind
  }

  // ── entries ────────────────────────────────────────────────────────────────────────────────────────────────────

  private writeDrop(out: ByteWriter, namespace: number): void {
    writePrefixTombstone(out, this.entries.prefixOf(namespace))
  }

  /** The touched slots, which are clean from then on. Only the young are ever touched. */
  private writeTouched(out: ByteWriter, group: Group): void {
    for (let part = 0; part <= this.layout.sets; part++) {
      const table = group.young.part(part)
      if (table.dirtyCount === 0) continue
      this.entries.beginKeys(group, part)
      for (let i = 0; i < table.dirtyCount; i++) this.writeEntry(out, group.young, part, table.dirty[i]!)
      table.clean()
    }
    group.logged ||= group.keys > 0
  }

  /** All of a part: what is young, what is old, and what is in the store only. */
  private writePart(out: ByteWriter, group: Group, part: number): void {
    this.entries.beginKeys(group, part)
    const { young, old } = group
    for (let slot = 0; slot < young.part(part).count; slot++) this.writeEntry(out, young, part, slot)
    if (old !== undefined)
      for (let slot = 0; slot < old.rows.part(part).count; slot++)
        if (old.holds(part, slot)) this.writeEntry(out, old.rows, part, slot)
    if (!group.spilled) return
    this.entries.key.length = HANDLE_BYTES
    for (const [key, value] of entriesOf(this.store!, this.entries.key.written().slice())) {
      const start = HANDLE_BYTES + 1
      if (young.part(part).find(key, start, key.length) >= 0 || (old?.find(part, key, start, key.length) ?? -1) >= 0)
        continue
      this.entries.key.clear()
      this.entries.key.copy(key, 0, key.length)
      this.entries.value.clear()
      this.entries.value.copy(value, 0, value.length)
      writePut(out, this.entries.key, this.entries.value)
    }
  }

  private writeEntry(out: ByteWriter, rows: Rows, part: number, slot: number): void {
    this.entries.make(rows, part, slot)
    writePut(out, this.entries.key, this.entries.value)
  }

  // ── what is old, or in the store ───────────────────────────────────────────────────────────────────────────────

  /** Fills a slot, just made among the young, with what the old rows or the store have of its key. False: nothing. */
  private recall(group: Group, part: number, slot: number, bytes: Uint8Array, start: number, end: number): boolean {
    const { old, spilled } = group
    if (old === undefined && !spilled) return false
    const place = old === undefined ? -1 : old.find(part, bytes, start, end)
    if (place >= 0) return this.rejuvenate(group, old!, part, place, slot)
    if (!spilled) return false
    this.entries.beginKeys(group, part)
    this.entries.key.copy(bytes, start, end)
    const value = this.store!.get(this.entries.key.written())
    if (value === undefined) return false
    group.spilledBytes -= this.entries.key.length + value.length
    if (part === 0) this.entries.readRow(group, group.young, slot, value, 0, value.length)
    return true
  }

  private rejuvenate(group: Group, old: OldRows, part: number, from: number, to: number): true {
    old.left(part, from)
    if (part > 0) return true
    const { table, values } = old.rows
    const { young } = group
    const { stride } = table
    for (let column = ARRIVAL; column < stride; column++)
      young.table.rows[to * stride + column] = table.rows[from * stride + column]!
    for (let i = 0; i < values.length; i++) {
      young.values[i]![to] = values[i]![from]
      values[i]![from] = undefined
    }
    if (values.length > 0) {
      young.valueBytes += table.rows[from * stride + stride - 1]!
      old.rows.valueBytes -= table.rows[from * stride + stride - 1]!
    }
    return true
  }

  /** Moves up to `limit` old entries to the store; behind the last one the old rows are gone. */
  private drainOld(group: Group, old: OldRows, limit: number): number {
    let left = limit
    group.spilled = true
    for (; old.part <= this.layout.sets && left > 0; old.part++, old.slot = 0) {
      this.entries.beginKeys(group, old.part)
      const { count } = old.rows.part(old.part)
      for (; old.slot < count && left > 0; left--) this.drainSlot(group, old)
      if (old.slot < count) return limit
    }
    if (old.part > this.layout.sets) {
      group.listed = old.arrivals
      group.old = undefined
    }
    return limit - left
  }

  private drainSlot(group: Group, old: OldRows): void {
    const { part, slot, rows } = old
    const holds = old.holds(part, slot)
    const { table } = rows
    const arrival = part === 0 ? table.rows[slot * table.stride + ARRIVAL]! : -1
    // Once for each key, and also for one that is young again: it will not come by here a second time.
    if (arrival >= group.listed) this.list(group, rows.table, slot, arrival)
    if (holds) {
      this.entries.make(rows, part, slot)
      this.store!.put(this.entries.key.written(), this.entries.value.written())
      group.spilledBytes += this.entries.key.length + this.entries.value.length
      if (part === 0) old.keys--
    }
    old.slot++
  }

  private list(group: Group, { keys, offsets }: Table, slot: number, arrival: number): void {
    this.store!.put(this.entries.listKey(group, arrival), keys.subarray(offsets[slot]!, offsets[slot + 1]!))
  }

  private visitPlaces(group: Group, from: number, to: number, show: (rows: Rows, slot: number) => void): void {
    if (group.visit?.done !== from) {
      group.visit = { places: group.places(), done: 0, held: 0, arrival: Number.NEGATIVE_INFINITY }
      // Firing goes on after a restart: nobody counted arrivals.
      this.walk(group, group.visit, from, () => {})
    }
    this.walk(group, group.visit, to, show)
    if (to === group.keys) group.visit = undefined
  }

  /** Two orders become one: that of the keys in memory, and the store's list, which may name them as well. */
  private walk(group: Group, visit: Visit, to: number, show: (rows: Rows, slot: number) => void): void {
    const { places } = visit
    const listed = group.spilled ? this.listed(group, visit.arrival, to - visit.done) : []
    let next = 0
    for (; visit.done < to; visit.done++) {
      const held = visit.held < places.length ? group.arrivalAt(places[visit.held]!) : Number.POSITIVE_INFINITY
      const stored = next < listed.length ? listed[next]![0] : Number.POSITIVE_INFINITY
      if (stored <= held) next++
      if (stored < held) this.showListed(group, listed[next - 1]![1], show)
      else show(...group.at(places[visit.held++]!))
      visit.arrival = Math.min(stored, held) + 1
    }
  }

  private listed(group: Group, from: number, limit: number): readonly (readonly [arrival: number, key: Uint8Array])[] {
    const begin = this.entries.listKey(group, from).slice()
    const entries = this.store!.scan(begin.subarray(0, HANDLE_BYTES), begin, limit)
    return entries.map(([key, value]) => [readOrdered(key, HANDLE_BYTES), value] as const)
  }

  private showListed(group: Group, key: Uint8Array, show: (rows: Rows, slot: number) => void): void {
    if (!this.showStored(group, key, show))
      throw new StateError("Damaged", "Spilled state lacks a key that its list of keys has")
  }

  private showStored(group: Group, key: Uint8Array, show: (rows: Rows, slot: number) => void): boolean {
    this.entries.beginKeys(group, 0)
    this.entries.key.copy(key, 0, key.length)
    const value = this.store!.get(this.entries.key.written())
    if (value === undefined) return false
    // Rows of one key, for this call: nothing that is only looked at becomes young by it.
    const rows = new Rows(this.layout, 1)
    this.entries.readRow(group, rows, rows.table.upsert(key, 0, key.length), value, 0, value.length)
    show(rows, 0)
    return true
  }

  /** Deletes what was dropped, bit by bit. Answers how many entries that were. */
  private sweep(limit: number): number {
    let left = limit
    for (let prefix = this.garbage[0]; prefix !== undefined && left > 0; prefix = this.garbage[0]) {
      const asked = Math.min(left, SWEPT_AT_ONCE)
      const deleted = this.store!.deletePrefix(prefix, asked)
      left -= deleted
      if (deleted < asked) this.garbage.shift()
    }
    return limit - left
  }
}

const SWEPT_AT_ONCE = 65_536
