import type { ValueCodec } from "../../codec.ts"
import type { Key } from "../../key.ts"
import { Cells } from "../../state/cells.ts"
import type { Shape } from "../../state/shape.ts"
import { type Stamped, stampedCodec } from "../../state/stamped.ts"
import { keyedPart } from "../eventTime.ts"
import { FIRST_STATE } from "../processLayout.ts"
import type { Contents } from "./contents.ts"
import type { Evictor } from "./evictor.ts"
import { type KeyWindow, windowCodec } from "./window.ts"

/** An event that is kept, and its place in the order of arrival. */
export interface Kept {
  readonly sub: Key | undefined
  readonly value: Stamped
}

type Emit = (record: object) => void

/**
 * Hands on what a firing makes of a window's elements, in the order of their arrival. There is at least one. `before`: those
 * that it held when it fired, of which the evictor has taken out the others.
 */
export type Finish = (
  key: Key,
  window: KeyWindow,
  elements: readonly Kept[],
  emit: Emit,
  before: readonly Kept[]
) => void

export type Withdraw = (key: Key, window: KeyWindow, emit: Emit, before: readonly Kept[]) => void

export interface ElementsOptions {
  readonly id: string
  /** What is kept of an event, and how it becomes bytes. */
  readonly take: (record: object) => object
  readonly codec: ValueCodec<unknown>
  /** What that looks like. Default: `any`. */
  readonly shape?: Shape | undefined
  readonly evictor: Evictor | undefined
  readonly finish: Finish
  /**
   * Takes back what a window has given out, where its evictor leaves nothing. With it windows keep what they have given out, as
   * `finish` leaves it with them.
   */
  readonly withdraw?: Withdraw | undefined
  /** What is kept of that beside numbers. Default: `any`. */
  readonly given?: Shape | undefined
}

/**
 * Windows that keep their events, for what has to see all of them: evictors, joins, lists. An event is kept once for each
 * key, however many windows hold it: a window's are those of its time that came since it was last purged.
 */
export class Elements implements Contents {
  readonly windows: Cells<KeyWindow>
  readonly parts
  private readonly elements: Cells<Stamped>
  private readonly evictor: Evictor | undefined
  private readonly take: (record: object) => object
  private readonly finish: Finish
  private readonly withdraw: Withdraw | undefined

  constructor({ id, take, codec: record, shape, evictor, finish, withdraw, given }: ElementsOptions) {
    this.take = take
    this.evictor = evictor
    this.finish = finish
    this.withdraw = withdraw
    this.elements = new Cells<Stamped>({ id, handle: FIRST_STATE, codec: stampedCodec(record), timed: false })
    const codec = windowCodec(0, [], withdraw !== undefined)
    this.windows = new Cells<KeyWindow>({ id, handle: FIRST_STATE + 1, codec, timed: true })
    this.parts = [
      keyedPart("elements", "list", false, this.elements, shape),
      keyedPart("windows", "map", true, this.windows, given)
    ]
  }

  begin(): void {}

  arrive(key: Key, record: object, timestamp: number): void {
    this.elements.put(key, this.next(key), { record: this.take(record), timestamp }, Number.POSITIVE_INFINITY)
  }

  include(window: KeyWindow): void {
    window.size++
  }

  /** Sessions do not overlap: what one has given up is no other's, and gone. */
  merge(into: KeyWindow, from: readonly KeyWindow[]): void {
    into.size = from.reduce((sum, { size }) => sum + size, 0)
    into.from = Math.min(...from.map(one => one.from))
    into.gone = from.flatMap(one => one.gone).sort((a, b) => a - b)
    into.given = from.flatMap(one => one.given)
  }

  purge(key: Key, window: KeyWindow): void {
    window.size = 0
    window.from = this.next(key)
    window.gone = []
    window.given = []
    this.sweep(key)
  }

  sweep(key: Key): void {
    const windows = this.windows.all(key).map(({ value }) => value)
    for (const cell of this.elements.all(key))
      if (!windows.some(window => holds(window, cell.sub as number, cell.value.timestamp))) this.elements.remove(cell)
  }

  fire(key: Key, window: KeyWindow, emit: (record: object) => void): void {
    const all = this.elements.all(key).filter(({ sub, value }) => holds(window, sub as number, value.timestamp))
    const kept = this.evictor === undefined ? all : this.evict(key, window, all)
    if (kept.length > 0) this.finish(key, window, kept, emit, all)
    else this.withdraw?.(key, window, emit, all)
  }

  /** Behind all elements, and behind those that some window has given up: they are not to be taken for new ones. */
  private next(key: Key): number {
    let next = this.elements.next(key)
    for (const { value } of this.windows.all(key)) next = Math.max(next, value.from, (value.gone.at(-1) ?? -1) + 1)
    return next
  }

  /** What an evictor takes out is gone for this window, and where no other one holds it for good. */
  private evict(key: Key, window: KeyWindow, all: readonly Kept[]): readonly Kept[] {
    const elements = all.map(cell => ({ ...cell.value, cell }))
    const staying = new Set(this.evictor!.keep(elements).map(({ cell }) => cell))
    if (staying.size === all.length) return all
    // An evictor may look for what stays in another order, and answer in that.
    const [kept, others] = [all.filter(cell => staying.has(cell)), all.filter(cell => !staying.has(cell))]
    window.gone = [...window.gone, ...others.map(({ sub }) => sub as number)].sort((a, b) => a - b)
    window.size = kept.length
    this.sweep(key)
    // What no other window holds either is not there any more: a window that never ends is not to remember all that it had.
    window.gone = window.gone.filter(sub => this.elements.find(key, sub) !== undefined)
    return kept
  }
}

const holds = ({ start, end, from, gone }: KeyWindow, sub: number, timestamp: number): boolean =>
  sub >= from && timestamp >= start && timestamp < end && !gone.includes(sub)
