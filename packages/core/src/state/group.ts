import type { ValueCodec } from "../codec.ts"
import { Table } from "./table.ts"
import { Typical, Weight } from "./weight.ts"

/** What each key of each namespace holds. */
export interface GroupLayout {
  /** Numbers, side by side in the row of the key, from column FIRST_NUMBER. */
  readonly numbers: number
  /** Values of other types, one codec each; written whole when the row was touched. */
  readonly codecs: readonly ValueCodec<unknown>[]
  /** Sets of bytes, one entry for each element: adding one never rewrites the others. */
  readonly sets: number
}

/** Rows are `stamp · arrival · numbers`, and where there are other values, how many bytes those take. */
export const STAMP = 0
export const ARRIVAL = 1
export const FIRST_NUMBER = 2
/** In STAMP: the key is in the younger rows. No epoch. */
const LEFT = -1
/** What a JavaScript value takes, by the bytes that its codec makes of it: an estimate. */
const HEAP_FACTOR = 2

/** Keys of a group and what they hold: columns in memory. */
export class Rows {
  readonly table: Table
  /** For each codec the values by slot. */
  readonly values: unknown[][]
  readonly sets: readonly Table[]
  readonly weight: Weight

  constructor(layout: GroupLayout, expected: number, typical = new Typical()) {
    this.weight = new Weight(typical)
    this.table = new Table(layout.numbers + 1 + (layout.codecs.length > 0 ? 1 : 0), expected)
    this.values = layout.codecs.map(() => [])
    this.sets = Array.from({ length: layout.sets }, () => new Table(0))
  }

  /** Part 0 are the rows, then come the sets. */
  part(part: number): Table {
    return part === 0 ? this.table : this.sets[part - 1]!
  }

  /** What it takes, where so many of its keys have not left. */
  bytes(keys: number): number {
    const values = this.values.length > 0 ? this.weight.of(keys) * HEAP_FACTOR : 0
    return this.sets.reduce((sum, set) => sum + set.byteSize, this.table.byteSize) + values
  }
}

/** The rows of a group that were young once: they leave for the young ones when they are used, else for the store. */
export class OldRows {
  readonly rows: Rows
  /** Keys that have not left. */
  keys: number
  /** The group's arrivals when these became old. */
  readonly arrivals: number
  /** The next slot to be drained is this one of this part. */
  part = 0
  slot = 0

  constructor(rows: Rows, arrivals: number) {
    this.rows = rows
    this.arrivals = arrivals
    this.keys = rows.table.count
  }

  /** The slot of a key that has not left yet; -1 if it has, or never was here. */
  find(part: number, bytes: Uint8Array, start: number, end: number): number {
    const slot = this.rows.part(part).find(bytes, start, end)
    return slot >= 0 && this.holds(part, slot) ? slot : -1
  }

  holds(part: number, slot: number): boolean {
    const drained = part < this.part || (part === this.part && slot < this.slot)
    const table = this.rows.part(part)
    return !drained && table.rows[slot * table.stride + STAMP] !== LEFT
  }

  /** A slot leaves for one that was just made among the young: of a row all that it holds goes along. */
  giveTo(young: Rows, part: number, from: number, to: number): void {
    const { rows } = this
    const { table, values } = rows
    rows.part(part).rows[from * rows.part(part).stride + STAMP] = LEFT
    if (part > 0) return
    this.keys--
    const { stride } = table
    for (let column = ARRIVAL; column < stride; column++)
      young.table.rows[to * stride + column] = table.rows[from * stride + column]!
    for (let i = 0; i < values.length; i++) {
      young.values[i]![to] = values[i]![from]
      values[i]![from] = undefined
    }
    if (values.length === 0) return
    const bytes = table.rows[from * stride + stride - 1]!
    young.weight.weigh(0, bytes)
    rows.weight.leave(bytes)
  }
}

/** How far keys were visited in order. */
export interface Visit {
  /** Those in memory, by arrival. */
  readonly places: Float64Array
  /** Keys visited, and how many of them were in memory. */
  done: number
  held: number
  /** Where to go on in the store's list. */
  arrival: number
}

/** One namespace (a window): all its keys, with their order of arrival. */
export class Group {
  readonly namespace: number
  young: Rows
  old: OldRows | undefined
  /** Something of it may be in the store; what is young or old as well is out of date there. */
  spilled = false
  spilledBytes = 0
  /** The store knows the order of the arrivals before this one. */
  listed = 0
  keys = 0
  /** Greater than the arrivals of all keys: the next one's. Between them there may be gaps, where state was rescaled. */
  arrivals = 0
  /** Whether a delta has named it, or it came from one: only then does dropping it need a tombstone. */
  logged = false
  /** Whether young slots may stand in another order than arrivals (restored entries come sorted by key). */
  shuffled = false
  /** While its keys are visited in order, in several steps. It may not age meanwhile. */
  visit: Visit | undefined

  constructor(namespace: number, layout: GroupLayout, expected: number, typical: Typical) {
    this.namespace = namespace
    this.young = new Rows(layout, expected, typical)
  }

  /** Keys that are in memory. */
  get held(): number {
    return this.young.table.count + (this.old?.keys ?? 0)
  }

  bytes(): number {
    return this.young.bytes(this.young.table.count) + (this.old?.rows.bytes(this.old.keys) ?? 0)
  }

  /** The places of the keys in memory, in order of arrival: young slots, and behind all of them those of the old. */
  places(): Float64Array {
    const young = this.young.table.count
    const places = new Float64Array(this.held)
    for (let slot = 0; slot < young; slot++) places[slot] = slot
    let at = young
    const { old } = this
    if (old !== undefined)
      for (let slot = 0; slot < old.rows.table.count; slot++) if (old.holds(0, slot)) places[at++] = young + slot
    if (!this.shuffled && old === undefined) return places
    return places.sort((a, b) => this.arrivalAt(a) - this.arrivalAt(b))
  }

  arrivalAt(place: number): number {
    const young = this.young.table.count
    const { table } = place < young ? this.young : this.old!.rows
    return table.rows[(place < young ? place : place - young) * table.stride + ARRIVAL]!
  }

  at(place: number): readonly [rows: Rows, slot: number] {
    const young = this.young.table.count
    return place < young ? [this.young, place] : [this.old!.rows, place - young]
  }
}
