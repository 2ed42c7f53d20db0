import type { Key } from "../key.ts"
import type { Queued } from "./queue.ts"

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
  /** What the codec made of the value last; 0 before the first time. */
  bytes: number
}

/** The cells of a key that has had several at a time. Most keys never do: a Map for each would double what they take. */
export class Several<V> {
  readonly cells = new Map<Key | undefined, Cell<V>>()
  /** Greater than all sub-keys that are numbers: the place of a list's next element. */
  next = 0

  add(cell: Cell<V>): void {
    this.cells.set(cell.sub, cell)
    this.next = Math.max(this.next, behind(cell))
  }
}

/** All that a key holds. */
export type Row<V> = Cell<V> | Several<V>

export const behind = ({ sub }: Cell<unknown>): number => (typeof sub === "number" ? sub + 1 : 0)

export const cellsOf = <V>(row: Row<V>): Cell<V>[] => (row instanceof Several ? [...row.cells.values()] : [row])

/** Sub-keys of one kind by their size, those of several kinds by kind. NaN comes last of the numbers. */
export const compareKeys = (a: Key, b: Key): number => {
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return a < b ? -1 : a > b ? 1 : 0
}
