import type { ByteWriter } from "../bytes.ts"
import type { EntryRange } from "./block.ts"
import { writePrefixTombstone, writePut } from "./changes.ts"
import { StateError } from "./error.ts"
import { ARRIVAL, Group, type GroupLayout, OldRows, Rows, type Visit } from "./group.ts"
import { GroupEntries, ROWS } from "./groupEntries.ts"
import type { StateHandle } from "./operator.ts"
import { HANDLE_BYTES } from "./order.ts"
import { noState, type SpillStore, type StateSize } from "./spill.ts"
import { SpilledGroups } from "./spilledGroups.ts"
import { Typical } from "./weight.ts"

/**
 * Typed columns by namespace and key: what a window operator keeps. A namespace is dropped as a whole, by one prefix
 * tombstone. The keys of a namespace keep their order of arrival over any restore, for results that depend on nothing
 * but the log. In the store entries stand as they do in a checkpoint, and beside them a list of keys by arrival.
 */
export class GroupedState implements StateHandle {
  readonly groups = new Map<number, Group>()
  private readonly entries: GroupEntries
  private readonly layout: GroupLayout
  private readonly typical = new Typical()
  private epoch = 1
  private dropped: number[] = []
  private expected = 16
  private readonly spilled: SpilledGroups

  constructor(id: string, layout: GroupLayout) {
    this.entries = new GroupEntries(id, layout)
    this.spilled = new SpilledGroups(this.entries, layout)
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
    this.spilled.sweep(Number.MAX_SAFE_INTEGER)
    const group = new Group(namespace, this.layout, this.expected, this.typical)
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
    if (group.spilled) this.spilled.show(group, bytes.subarray(start, end), show)
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
    if (isNew && arrival < Math.max(group.listed, group.old?.arrivals ?? 0))
      this.spilled.list(group, table, slot, arrival)
    return true
  }

  forget(namespace: number): void {
    if (this.groups.get(namespace)?.spilled === true) this.spilled.drop(namespace)
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
    this.spilled.use(store)
    for (const group of this.groups.values()) {
      if (group.old !== undefined || group.visit !== undefined || group.young.table.count === 0) continue
      group.old = new OldRows(group.young, group.arrivals)
      group.young = new Rows(this.layout, group.young.table.count >> 2, this.typical)
      group.shuffled = true
    }
  }

  drain(limit: number): number {
    let left = limit - this.spilled.sweep(limit)
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
    for (const [key, value] of this.spilled.all(group, part)) {
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
    if (place >= 0) {
      old!.giveTo(group.young, part, place, slot)
      return true
    }
    const value = spilled ? this.spilled.take(group, part, bytes, start, end) : undefined
    if (value === undefined) return false
    if (part === 0) this.entries.readRow(group, group.young, slot, value, 0, value.length)
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
    if (arrival >= group.listed) this.spilled.list(group, rows.table, slot, arrival)
    if (holds) {
      this.spilled.put(group, rows, part, slot)
      if (part === 0) old.keys--
    }
    old.slot++
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
    const listed = group.spilled ? this.spilled.listed(group, visit.arrival, to - visit.done) : []
    let next = 0
    for (; visit.done < to; visit.done++) {
      const held = visit.held < places.length ? group.arrivalAt(places[visit.held]!) : Number.POSITIVE_INFINITY
      const stored = next < listed.length ? listed[next]![0] : Number.POSITIVE_INFINITY
      if (stored <= held) next++
      if (stored < held) this.spilled.showListed(group, listed[next - 1]![1], show)
      else show(...group.at(places[visit.held++]!))
      visit.arrival = Math.min(stored, held) + 1
    }
  }
}
