import type { Aggregation } from "../../aggregation.ts"
import { ByteWriter } from "../../bytes.ts"
import type { Key } from "../../key.ts"
import type { Op } from "../deduplicate.ts"
import { Accumulator } from "./accumulator.ts"
import type { Span } from "./assigner.ts"
import type { KeyWindow } from "./window.ts"

/** A result that a window has given out, as its row: what there was to see of it is made of that again. */
export interface GivenRow extends Span {
  readonly row: Uint8Array
}

type Row = Pick<KeyWindow, "numbers" | "values">

/**
 * Results as changes: the first one of a window is an insert; one that comes in its place takes it back (`-U`) before it
 * comes (`+U`). Of sessions that have become one all results are taken back, the last of them as updated, those before it
 * as deleted (`-D`). A result that says the same again is not given out.
 */
export class Given {
  private readonly aggregation: Aggregation
  private readonly before: Accumulator
  private readonly bytes = new ByteWriter(64)

  constructor(aggregation: Aggregation) {
    this.aggregation = aggregation
    this.before = new Accumulator(aggregation)
  }

  /** `row`: what the window's contents come to now. */
  fire(key: Key, window: KeyWindow, row: Row, emit: (record: object) => void): void {
    const { bytes } = this
    const { start, end } = window
    const { numbers, values } = row
    bytes.clear()
    this.aggregation.write(numbers, 0, values, 0, bytes)
    const now: GivenRow = { start, end, row: bytes.written().slice() }
    const { given } = window
    if (given.length === 1 && isSame(given[0]!, now)) return
    for (const [i, one] of given.entries()) this.takeBack(i < given.length - 1 ? "-D" : "-U", key, one, emit)
    this.change(given.length === 0 ? "+I" : "+U", key, window, row, emit)
    window.given = [now]
  }

  /** Nothing is left of the window's contents: all that it gave out is taken back. */
  withdraw(key: Key, window: KeyWindow, emit: (record: object) => void): void {
    for (const one of window.given) this.takeBack("-D", key, one, emit)
    window.given = []
  }

  private takeBack(op: "-U" | "-D", key: Key, one: GivenRow, emit: (record: object) => void): void {
    const { before } = this
    this.aggregation.read(one.row, before.numbers, 0, before.values, 0)
    this.change(op, key, one, before, emit)
  }

  private change(op: Op, key: Key, span: Span, { numbers, values }: Row, emit: (record: object) => void): void {
    const record = begun(key, span)
    this.aggregation.results(numbers, 0, values, 0, record)
    emit({ op, record })
  }
}

const isSame = (a: GivenRow, b: GivenRow): boolean =>
  a.start === b.start && a.end === b.end && a.row.length === b.row.length && a.row.every((byte, i) => byte === b.row[i])

/** With what each result begins. The global window has no times. */
export const begun = (key: Key, { start, end }: Span): Record<string, unknown> =>
  end === Number.POSITIVE_INFINITY ? { key } : { key, windowStart: start, windowEnd: end }
