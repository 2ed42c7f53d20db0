import type { Aggregation } from "../../aggregation.ts"
import { ARRIVAL, FIRST_NUMBER, type Group, type Rows } from "../../state/group.ts"
import type { GroupedState } from "../../state/grouped.ts"
import { Table } from "../../state/table.ts"
import { Accumulator, type Bytes, type Place } from "./accumulator.ts"
import { Undo } from "./undo.ts"

/** The panes of a window, `[from, to)`, and where they are cut in two: what is before `cut` is the front. */
export interface Run {
  readonly from: number
  readonly cut: number
  readonly to: number
}

/** No window: none is cut there. */
const NOTHING: Run = { from: 0, cut: Number.NaN, to: 0 }

/** Columns of the merged rows, behind the stamp: how many panes of the front and of the back hold the key. */
const FRONT = 1
const BACK = 2
/** The last pane of the front that held it, and the first one of the back. */
const NEWEST = 3
const OLDEST = 4
/** Then come the numbers of the front, and those of the back. */
const NUMBERS = 5

/**
 * What the panes of a window come to, key by key, carried on from one window to the next: each row of a pane is merged
 * twice and taken out once, however many panes a window has. Nothing is subtracted, so any aggregate that merges will do.
 * A window is cut in two. The back grows at its end as panes come in. The front is merged from its last pane to its
 * first and keeps what it was before each pane, so that it can get rid of the first one. Where windows are cut depends on
 * the grid alone, and so do the order of merging and the order of keys: they are the same after a restart, when all of
 * it is made anew from the panes. It is nobody's state.
 *
 * Keys of the front come first, those of its last pane before others; then those of the back only, as they came.
 */
export class Merging {
  private readonly contents: GroupedState
  private readonly aggregation: Aggregation
  private readonly groupOf: (pane: number) => Group | undefined
  private readonly width: number
  private table: Table = new Table(0)
  private front: unknown[][] = []
  private back: unknown[][] = []
  private readonly undos = new Map<number, Undo>()
  /** Keys that the front had when it was whole: the first ones of the table. */
  private fronts = 0
  /** Slots of the keys of the back. */
  private backs: number[] = []
  /** What is merged: panes `[from, to)`. */
  private from = 0
  private cut = Number.NaN
  private to = 0
  /** Where the front is to begin that was made last, and whether it can be carried on from there. */
  private target = 0
  private kept = true
  /** Results that were shown of the window, and where the next one is to be looked for. */
  private shown = 0
  private place = 0
  private readonly one: Accumulator
  private readonly other: Accumulator
  private readonly whole: Accumulator

  constructor(contents: GroupedState, aggregation: Aggregation, groupOf: (pane: number) => Group | undefined) {
    this.contents = contents
    this.aggregation = aggregation
    this.groupOf = groupOf
    this.width = aggregation.layout.numbers
    this.one = new Accumulator(aggregation)
    this.other = new Accumulator(aggregation)
    this.whole = new Accumulator(aggregation)
    this.begin(NOTHING)
  }

  /** Gives up what it holds: the next window is made anew, of its panes. */
  forget(): void {
    if (!Number.isNaN(this.cut)) this.begin(NOTHING)
  }

  /** Bytes of memory that it takes, without custom aggregates. */
  get byteSize(): number {
    let bytes = this.table.byteSize + this.backs.length * 8
    for (const undo of this.undos.values()) bytes += undo.byteSize
    return bytes
  }

  /**
   * Goes on towards a window, whole panes at a time, until that were about `limit` rows. Returns how many, at least one;
   * 0: there was nothing left to do.
   */
  prepare(run: Run, limit: number): number {
    const goesOn = this.cut === run.cut && this.to <= run.to && (this.kept || this.target === run.from)
    if (!goesOn) this.begin(run)
    let rows = 0
    while (rows < limit && this.from > run.from) rows += this.addFront(--this.from)
    while (rows < limit && this.from < Math.min(run.from, run.cut)) rows += this.dropFront(this.from++)
    while (rows < limit && this.to < run.to) rows += this.addBack(this.to++)
    return rows
  }

  /** Shows up to `limit` results of the window that was prepared, behind the first `skip`. Returns how many. */
  show(skip: number, limit: number, show: (key: Bytes, place: Place) => void): number {
    if (this.shown !== skip) this.rewind()
    const { table, fronts, backs } = this
    const end = fronts + backs.length
    let count = 0
    for (; this.place < end && count < limit; this.place++) {
      const isBack = this.place >= fronts
      const slot = isBack ? backs[this.place - fronts]! : this.place
      if (table.rows[slot * table.stride + FRONT]! > 0 === isBack) continue
      if (this.shown++ < skip) continue
      count++
      show({ bytes: table.keys, start: table.offsets[slot]!, end: table.offsets[slot + 1]! }, this.merged(slot))
    }
    return count
  }

  /** Whether all results of the window were shown. */
  get isThrough(): boolean {
    return this.place >= this.fronts + this.backs.length
  }

  /** The window is through: no later one begins before pane `from`, and what was before it may go. */
  leave(from: number): void {
    this.rewind()
    if (this.kept) while (this.from < Math.min(from, this.cut)) this.dropFront(this.from++)
  }

  /** A row of a pane was changed, or is new: a late event has come. */
  touched(pane: number, group: Group, slot: number, isNew: boolean): void {
    if (pane < this.from || pane >= this.to) return
    const { keys, offsets } = group.young.table
    const key = { bytes: keys, start: offsets[slot]!, end: offsets[slot + 1]! }
    const run = this.table.find(key.bytes, key.start, key.end)
    const at = run * this.table.stride
    // Where its key has another place in the order now, or had none, all is made anew.
    const { rows } = this.table
    if (pane >= this.cut) {
      if (isNew && (run < 0 || rows[at + BACK] === 0 || rows[at + OLDEST]! > pane)) return this.forget()
      this.renewBack(run, key)
    } else {
      if (!this.kept || (isNew && (run < 0 || rows[at + FRONT] === 0 || rows[at + NEWEST]! < pane)))
        return this.forget()
      this.renewFront(run, key)
    }
  }

  /** What one key comes to in a window, merged as in a firing. Undefined: no pane has it. */
  fold({ from, cut, to }: Run, key: Bytes): Place | undefined {
    let { one, other } = this
    one.clear()
    for (let pane = cut - 1; pane >= from; pane--)
      this.look(pane, key, (rows, slot) => {
        other.clear()
        other.addRow(rows, slot)
        other.add(one)
        ;[one, other] = [other, one]
      })
    const { whole } = this
    whole.clear()
    for (let pane = cut; pane < to; pane++) this.look(pane, key, (rows, slot) => whole.addRow(rows, slot))
    if (whole.isEmpty) return one.isEmpty ? undefined : one
    if (one.isEmpty) return whole
    one.add(whole)
    return one
  }

  private begin(run: Run): void {
    const { numbers, codecs } = this.aggregation.layout
    this.table = new Table(NUMBERS - 1 + numbers * 2, Math.max(16, this.table.count))
    this.front = codecs.map(() => [])
    this.back = codecs.map(() => [])
    this.undos.clear()
    this.fronts = 0
    this.backs = []
    this.cut = run.cut
    this.from = run.cut
    this.to = run.cut
    this.target = run.from
    this.kept = true
    this.rewind()
  }

  private rewind(): void {
    this.shown = 0
    this.place = 0
  }

  /** All rows of a pane by arrival. Returns what that counts for. */
  private each(pane: number, show: (rows: Rows, slot: number) => void): number {
    const group = this.groupOf(pane)
    if (group === undefined) return 1
    this.contents.visit(group, 0, group.keys, show)
    return group.keys + 1
  }

  private look(pane: number, key: Bytes, show: (rows: Rows, slot: number) => void): void {
    const group = this.groupOf(pane)
    if (group !== undefined) this.contents.look(group, key.bytes, key.start, key.end, show)
  }

  private addFront(pane: number): number {
    const undo = this.undoOf(pane)
    const rows = this.each(pane, (rows, slot) => this.intoFront(this.enter(rows, slot), pane, rows, slot, undo))
    this.fronts = this.table.count
    return rows
  }

  /** Undone is only what is all in memory: else the front of each window is made anew, and memory holds its keys only. */
  private undoOf(pane: number): Undo | undefined {
    const group = this.groupOf(pane)
    if (group === undefined) return undefined
    if (group.old !== undefined || group.spilled) this.kept = false
    if (!this.kept) this.undos.clear()
    if (!this.kept) return undefined
    const { numbers, codecs } = this.aggregation.layout
    const undo = new Undo(group.arrivals, numbers, codecs.length)
    this.undos.set(pane, undo)
    return undo
  }

  private intoFront(run: number, pane: number, rows: Rows, slot: number, undo: Undo | undefined): void {
    const { table, front, width } = this
    const at = run * table.stride
    const base = at + NUMBERS
    const held = table.rows[at + FRONT]!
    if (undo !== undefined) undo.keep(arrivalOf(rows, slot), run, table.rows, base, front)
    const { one } = this
    one.clear()
    one.addRow(rows, slot)
    if (held > 0) one.addNumbers(table.rows, base, front, run)
    else table.rows[at + NEWEST] = pane
    for (let i = 0; i < width; i++) table.rows[base + i] = one.numbers[i]!
    for (let i = 0; i < front.length; i++) front[i]![run] = one.values[i]![0]
    table.rows[at + FRONT] = held + 1
  }

  private dropFront(pane: number): number {
    const undo = this.undos.get(pane)
    if (undo === undefined) return 1
    const { table, front } = this
    undo.restore((run, arrival) => {
      const at = run * table.stride
      table.rows[at + FRONT]! -= 1
      undo.giveBack(arrival, run, table.rows, at + NUMBERS, front)
    })
    this.undos.delete(pane)
    return undo.size + 1
  }

  private addBack(pane: number): number {
    return this.each(pane, (rows, slot) => {
      const run = this.enter(rows, slot)
      const at = run * this.table.stride
      if (this.table.rows[at + BACK] === 0) {
        this.table.rows[at + OLDEST] = pane
        this.backs.push(run)
      }
      this.intoBack(run, rows, slot)
    })
  }

  private intoBack(run: number, rows: Rows, slot: number): void {
    const { table, back, aggregation } = this
    const at = run * table.stride
    const base = at + NUMBERS + this.width
    if (table.rows[at + BACK] === 0) aggregation.begin(table.rows, base, back, run)
    aggregation.merge(table.rows, base, back, run, rows.table.rows, baseOf(rows, slot), rows.values, slot)
    table.rows[at + BACK]! += 1
  }

  private renewBack(run: number, key: Bytes): void {
    this.table.rows[run * this.table.stride + BACK] = 0
    for (let pane = this.cut; pane < this.to; pane++)
      this.look(pane, key, (rows, slot) => this.intoBack(run, rows, slot))
  }

  private renewFront(run: number, key: Bytes): void {
    const { rows, stride } = this.table
    const newest = rows[run * stride + NEWEST]!
    rows[run * stride + FRONT] = 0
    for (let pane = newest; pane >= this.from; pane--)
      this.look(pane, key, (rows, slot) => {
        const undo = this.undos.get(pane) ?? this.undoOf(pane)
        this.intoFront(run, pane, rows, slot, undo)
      })
  }

  /** The merged row of a key. */
  private enter(rows: Rows, slot: number): number {
    const { keys, offsets } = rows.table
    return this.table.upsert(keys, offsets[slot]!, offsets[slot + 1]!)
  }

  private merged(run: number): Place {
    const { table, one } = this
    const at = run * table.stride
    one.clear()
    if (table.rows[at + FRONT]! > 0) one.addNumbers(table.rows, at + NUMBERS, this.front, run)
    if (table.rows[at + BACK]! > 0) one.addNumbers(table.rows, at + NUMBERS + this.width, this.back, run)
    return one
  }
}

const baseOf = (rows: Rows, slot: number): number => slot * rows.table.stride + FIRST_NUMBER

const arrivalOf = (rows: Rows, slot: number): number => rows.table.rows[slot * rows.table.stride + ARRIVAL]!
