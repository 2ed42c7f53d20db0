import { ByteWriter } from "../bytes.ts"
import type { ValueCodec } from "../codec.ts"
import { writePrefixTombstone, writePut } from "./changes.ts"
import { StateError } from "./error.ts"
import { ValueReader, writeNumber } from "./number.ts"
import type { StateHandle } from "./operator.ts"
import { HANDLE_BYTES, operatorHash, writeOrdered, writeStateKey } from "./order.ts"
import { Table } from "./table.ts"

/** What each key of each namespace holds. */
export interface GroupLayout {
  /** Numbers, side by side in the row of the key, from column FIRST_NUMBER. */
  readonly numbers: number
  /** Values of other types, one codec each; written whole when the row was touched. */
  readonly codecs: readonly ValueCodec<unknown>[]
  /** Sets of bytes, one entry for each element: adding one never rewrites the others. */
  readonly sets: number
}

/** Rows are `stamp · arrival · numbers`. */
const ARRIVAL = 1
export const FIRST_NUMBER = 2

/** Handle numbers: the rows, then one for each set. 1 is the operator's own value. */
const ROWS = 2

/** One namespace (a window): all its keys, in order of arrival. */
export class Group {
  readonly namespace: number
  readonly table: Table
  /** For each codec the values by slot. */
  readonly values: unknown[][]
  readonly sets: Table[]
  /** Keys so far: the next one's arrival. */
  arrivals = 0
  /** Whether a delta has named it, or it came from one: only then does dropping it need a tombstone. */
  logged = false
  /** Whether slots may stand in another order than arrivals (restored entries come sorted by key). */
  shuffled = false

  constructor(namespace: number, layout: GroupLayout, expected: number) {
    this.namespace = namespace
    this.table = new Table(layout.numbers + 1, expected)
    this.values = layout.codecs.map(() => [])
    this.sets = Array.from({ length: layout.sets }, () => new Table(0))
  }

  /** The slots in order of arrival; undefined if that is 0, 1, 2 … */
  order(): Float64Array | undefined {
    if (!this.shuffled) return undefined
    const { rows, stride, count } = this.table
    const slots = Float64Array.from({ length: count }, (_, slot) => slot)
    return slots.sort((a, b) => rows[a * stride + ARRIVAL]! - rows[b * stride + ARRIVAL]!)
  }

  bytes(): number {
    return this.sets.reduce((sum, set) => sum + set.byteSize, this.table.byteSize)
  }
}

/**
 * Typed columns by namespace and key: what a window operator keeps. A namespace is dropped as a whole, by one prefix
 * tombstone. The keys of a namespace keep their order of arrival over any restore, for results that depend on nothing
 * but the log.
 */
export class GroupedState implements StateHandle {
  readonly groups = new Map<number, Group>()
  /** The kind of all keys (see Keyed), 0 before the first. Stands in each entry. */
  keyKind = 0
  private readonly operator: number
  private readonly layout: GroupLayout
  private epoch = 1
  private dropped: number[] = []
  private expected = 16
  private readonly key = new ByteWriter(64)
  private readonly value = new ByteWriter(64)
  private readonly scratch = new ByteWriter(64)
  private readonly reader = new ValueReader()

  constructor(id: string, layout: GroupLayout) {
    this.operator = operatorHash(id)
    this.layout = layout
  }

  /** The group of a namespace, made if there is none. As large from the start as the last one dropped was. */
  open(namespace: number): Group {
    const present = this.groups.get(namespace)
    if (present !== undefined) return present
    const group = new Group(namespace, this.layout, this.expected)
    this.groups.set(namespace, group)
    return group
  }

  /** Forgets a namespace with all its keys. */
  drop(group: Group): void {
    this.groups.delete(group.namespace)
    this.expected = Math.max(16, group.table.count)
    if (group.logged) this.dropped.push(group.namespace)
  }

  /** The slot of a key, entered as touched in this transaction. A new key's slot is the `count` of before. */
  enter(group: Group, bytes: Uint8Array, start: number, end: number): number {
    const table = group.table
    const before = table.count
    const slot = table.upsert(bytes, start, end)
    if (slot === before) table.rows[slot * table.stride + ARRIVAL] = group.arrivals++
    table.touch(slot, this.epoch)
    return slot
  }

  /** Adds an element (with the key it belongs to, in one range of bytes) to a set; false if it was there. */
  addTo(set: Table, bytes: Uint8Array, start: number, end: number): boolean {
    const before = set.count
    const slot = set.upsert(bytes, start, end)
    if (set.count === before) return false
    set.touch(slot, this.epoch)
    return true
  }

  delta(out: ByteWriter): void {
    for (const namespace of this.dropped) this.writeDrop(out, namespace)
    this.dropped = []
    for (const group of this.groups.values()) this.writeGroup(out, group, true)
    this.epoch++
  }

  snapshot(out: ByteWriter): void {
    for (const group of this.groups.values()) this.writeGroup(out, group, false)
  }

  restore(handle: number, namespace: number, key: Uint8Array, value: Uint8Array | undefined): boolean {
    if (handle < ROWS || handle > ROWS + this.layout.sets || value === undefined) return false
    this.adopt(key[HANDLE_BYTES])
    const group = this.open(namespace)
    group.logged = true
    if (handle === ROWS) this.restoreRow(group, key, value)
    else group.sets[handle - ROWS - 1]!.upsert(key, HANDLE_BYTES + 1, key.length)
    return true
  }

  forget(namespace: number): void {
    this.groups.delete(namespace)
  }

  bytes(): number {
    let sum = 0
    for (const group of this.groups.values()) sum += group.bytes()
    return sum
  }

  private adopt(kind: number | undefined): void {
    if (kind === undefined || (this.keyKind !== 0 && this.keyKind !== kind))
      throw new StateError("Damaged", `A state entry's key is of kind ${kind}, the others of kind ${this.keyKind}`)
    this.keyKind = kind
  }

  private writeDrop(out: ByteWriter, namespace: number): void {
    this.key.clear()
    this.key.u32(this.operator)
    writeOrdered(this.key, namespace)
    writePrefixTombstone(out, this.key)
  }

  private writeGroup(out: ByteWriter, group: Group, changed: boolean): void {
    this.writeTable(out, group, group.table, ROWS, changed)
    for (let i = 0; i < group.sets.length; i++) this.writeTable(out, group, group.sets[i]!, ROWS + 1 + i, changed)
    if (changed) group.logged ||= group.table.count > 0
  }

  /** The touched slots of a table, which are clean from then on, or all of them. */
  private writeTable(out: ByteWriter, group: Group, table: Table, handle: number, changed: boolean): void {
    const count = changed ? table.dirtyCount : table.count
    if (count === 0) return
    this.key.clear()
    writeStateKey(this.key, this.operator, group.namespace, handle)
    this.key.u8(this.keyKind)
    for (let i = 0; i < count; i++) this.writeEntry(out, group, table, handle, changed ? table.dirty[i]! : i)
    if (changed) table.clean()
  }

  private writeEntry(out: ByteWriter, group: Group, table: Table, handle: number, slot: number): void {
    this.key.length = HANDLE_BYTES + 1
    this.key.copy(table.keys, table.offsets[slot]!, table.offsets[slot + 1]!)
    this.value.clear()
    if (handle === ROWS) this.writeRow(group, slot)
    writePut(out, this.key, this.value)
  }

  private writeRow(group: Group, slot: number): void {
    const { rows, stride } = group.table
    const base = slot * stride
    for (let column = ARRIVAL; column < stride; column++) writeNumber(this.value, rows[base + column]!)
    for (let i = 0; i < this.layout.codecs.length; i++) this.writeValue(this.layout.codecs[i]!, group.values[i]![slot])
  }

  private writeValue(codec: ValueCodec<unknown>, value: unknown): void {
    this.scratch.clear()
    codec.write(value, this.scratch)
    this.value.varint(this.scratch.length)
    this.value.copy(this.scratch.bytes, 0, this.scratch.length)
  }

  private restoreRow(group: Group, key: Uint8Array, value: Uint8Array): void {
    const table = group.table
    const slot = table.upsert(key, HANDLE_BYTES + 1, key.length)
    const base = slot * table.stride
    this.reader.reset(value)
    for (let column = ARRIVAL; column < table.stride; column++) table.rows[base + column] = this.reader.number()
    for (let i = 0; i < this.layout.codecs.length; i++)
      group.values[i]![slot] = this.readValue(this.layout.codecs[i]!, value)
    this.reader.end()
    const arrival = table.rows[base + ARRIVAL]!
    if (arrival !== slot) group.shuffled = true
    group.arrivals = Math.max(group.arrivals, arrival + 1)
  }

  private readValue(codec: ValueCodec<unknown>, value: Uint8Array): unknown {
    const length = this.reader.varint()
    const start = this.reader.skip(length)
    return codec.read(value, start, start + length)
  }
}
