import { ByteWriter } from "../bytes.ts"
import type { ValueCodec } from "../codec.ts"
import { BIGINT_KEY, type Key, readKey, STRING_KEY, writeKey } from "../key.ts"
import { writePut, writeTombstone } from "./changes.ts"
import { StateError } from "./error.ts"
import { ValueReader, writeNumber } from "./number.ts"
import type { StateHandle } from "./operator.ts"
import { HANDLE_BYTES, NO_NAMESPACE, operatorHash, writeStateKey } from "./order.ts"
import { DueQueue, type Queued } from "./queue.ts"

/** One entry: what a key holds under a sub-key. */
export interface Cell<V> extends Queued {
  readonly key: Key
  /** Undefined where a key has one entry at most. */
  readonly sub: Key | undefined
  value: V
  /** When its timer fires, or when it expires; Infinity if never. */
  due: number
  readonly order: number
  place: number
  /** Whether a delta has named it, or it came from one: only then does removing it need a tombstone. */
  logged: boolean
  removed: boolean
}

/** The cells of a key that has had several at a time. Most keys never do: a Map for each would double what they take. */
class Several<V> {
  readonly cells = new Map<Key | undefined, Cell<V>>()
  /** Greater than all sub-keys that are numbers: the place of a list's next element. */
  next = 0

  add(cell: Cell<V>): void {
    this.cells.set(cell.sub, cell)
    this.next = Math.max(this.next, behind(cell))
  }
}

const behind = ({ sub }: Cell<unknown>): number => (typeof sub === "number" ? sub + 1 : 0)

export interface CellLayout<V> {
  /** The id of the operator, and the handle number (1 …) within it. */
  readonly id: string
  readonly handle: number
  readonly codec: ValueCodec<V>
  /** Whether cells have a time at which they are due: then it stands in their entries. */
  readonly timed: boolean
}

/** What a cell and a key take: estimates, from the heap with 200,000 keys. */
const CELL_BYTES = 200
const ROW_BYTES = 100

/**
 * State by key and sub-key, one entry for each cell, so that a list or a map is never written as a whole:
 *   key    operator · namespace · handle · kind · varint length · key, then nothing or kind · sub-key
 *   value  due · order if timed, then what the codec makes of the value
 * Entries of one key stand together, in the order of their sub-keys. Removing a cell leaves one tombstone, so there are
 * never more of them than there were puts.
 */
export class Cells<V> implements StateHandle {
  private readonly layout: CellLayout<V>
  private readonly operator: number
  private readonly rows = new Map<Key, Cell<V> | Several<V>>()
  private readonly queue = new DueQueue<Cell<V>>()
  /** In the order in which they are written: of one key and sub-key, what was removed stands before what came after. */
  private readonly dirty = new Set<Cell<V>>()
  private count = 0
  private orders = 0
  private readonly key = new ByteWriter(64)
  private readonly value = new ByteWriter(64)
  private readonly scratch = new ByteWriter(64)
  private readonly reader = new ValueReader()

  constructor(layout: CellLayout<V>) {
    this.layout = layout
    this.operator = operatorHash(layout.id)
  }

  /** What is due first. */
  get first(): Cell<V> | undefined {
    return this.queue.first
  }

  find(key: Key, sub: Key | undefined): Cell<V> | undefined {
    const row = this.rows.get(key)
    if (row instanceof Several) return row.cells.get(sub)
    return Object.is(row?.sub, sub) ? row : undefined
  }

  /** The cells of a key, by their sub-keys: their order in memory would depend on what was restored. */
  all(key: Key): readonly Cell<V>[] {
    const row = this.rows.get(key)
    return row === undefined ? [] : cellsOf(row).sort((a, b) => compare(a.sub!, b.sub!))
  }

  /** The sub-key behind all others of a key that has numbers for sub-keys. */
  next(key: Key): number {
    const row = this.rows.get(key)
    if (row instanceof Several) return row.next
    return row === undefined ? 0 : behind(row)
  }

  put(key: Key, sub: Key | undefined, value: V, due: number): void {
    const cell = this.find(key, sub) ?? this.add(key, sub, value, this.orders++)
    cell.value = value
    cell.due = due
    if (this.layout.timed) this.queue.place(cell)
    this.dirty.add(cell)
  }

  remove(cell: Cell<V>): void {
    const row = this.rows.get(cell.key)
    if (row instanceof Several) row.cells.delete(cell.sub)
    if (!(row instanceof Several) || row.cells.size === 0) this.rows.delete(cell.key)
    this.queue.remove(cell)
    this.count--
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
    for (const row of this.rows.values()) for (const cell of cellsOf(row)) this.write(out, cell)
  }

  restore(handle: number, _namespace: number, key: Uint8Array, value: Uint8Array | undefined): boolean {
    if (handle !== this.layout.handle) return false
    this.reader.reset(key)
    this.reader.skip(HANDLE_BYTES)
    const owner = this.readKey(key, this.reader.varint(), () => this.reader.varint())
    const sub =
      this.reader.at === key.length
        ? undefined
        : this.readKey(key, this.reader.varint(), () => key.length - this.reader.at)
    if (value === undefined) this.restoreRemoval(owner, sub)
    else this.restoreCell(owner, sub, value)
    return true
  }

  /** Cells belong to no namespace. */
  forget(): void {}

  bytes(): number {
    return this.count * CELL_BYTES + this.rows.size * ROW_BYTES
  }

  private add(key: Key, sub: Key | undefined, value: V, order: number): Cell<V> {
    const due = Number.POSITIVE_INFINITY
    const cell: Cell<V> = { key, sub, value, due, order, place: -1, logged: false, removed: false }
    this.place(key, cell)
    this.count++
    return cell
  }

  private place(key: Key, cell: Cell<V>): void {
    const row = this.rows.get(key)
    if (row === undefined) this.rows.set(key, cell)
    else if (row instanceof Several) row.add(cell)
    else {
      const several = new Several<V>()
      several.add(row)
      several.add(cell)
      this.rows.set(key, several)
    }
  }

  private writeRemoval(out: ByteWriter, cell: Cell<V>): void {
    this.writeKey(cell)
    writeTombstone(out, this.key)
  }

  private write(out: ByteWriter, cell: Cell<V>): void {
    this.writeKey(cell)
    this.value.clear()
    if (this.layout.timed) {
      writeNumber(this.value, cell.due)
      writeNumber(this.value, cell.order)
    }
    this.layout.codec.write(cell.value, this.value)
    writePut(out, this.key, this.value)
  }

  private writeKey({ key, sub }: Cell<V>): void {
    this.key.clear()
    writeStateKey(this.key, this.operator, NO_NAMESPACE, this.layout.handle)
    this.writePart(key, true)
    if (sub !== undefined) this.writePart(sub, false)
  }

  private writePart(part: Key, measured: boolean): void {
    this.scratch.clear()
    this.key.u8(writeKey(this.scratch, part))
    if (measured) this.key.varint(this.scratch.length)
    this.key.copy(this.scratch.bytes, 0, this.scratch.length)
  }

  private readKey(bytes: Uint8Array, kind: number, length: () => number): Key {
    if (kind < STRING_KEY || kind > BIGINT_KEY)
      throw new StateError("Damaged", `A state entry's key is of kind ${kind}`)
    const size = length()
    const start = this.reader.skip(size)
    return readKey(bytes, start, start + size, kind)
  }

  private restoreRemoval(key: Key, sub: Key | undefined): void {
    const cell = this.find(key, sub)
    if (cell === undefined) return
    cell.logged = false
    this.remove(cell)
  }

  private restoreCell(key: Key, sub: Key | undefined, value: Uint8Array): void {
    const { timed, codec } = this.layout
    this.reader.reset(value)
    const due = timed ? this.reader.number() : Number.POSITIVE_INFINITY
    const order = timed ? this.reader.number() : 0
    const present = this.find(key, sub)
    if (present !== undefined) this.restoreRemoval(key, sub)
    const cell = this.add(key, sub, codec.read(value, this.reader.at, value.length), order)
    cell.logged = true
    cell.due = due
    this.orders = Math.max(this.orders, order + 1)
    if (timed) this.queue.place(cell)
  }
}

const cellsOf = <V>(row: Cell<V> | Several<V>): Cell<V>[] => (row instanceof Several ? [...row.cells.values()] : [row])

/** Sub-keys of one kind by their size, those of several kinds by kind. NaN comes last of the numbers. */
const compare = (a: Key, b: Key): number => {
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return a < b ? -1 : a > b ? 1 : 0
}
