import type { ValueCodec } from "../../codec.ts"
import type { Key } from "../../key.ts"
import type { Input } from "../../operator.ts"
import { Cells } from "../../state/cells.ts"
import { type Stamped, stampedCodec } from "../../state/stamped.ts"
import type { Change, Op } from "../deduplicate.ts"
import { EventTimeOperator, type EventTimeOptions, keyedPart } from "../eventTime.ts"
import { FIRST_STATE } from "../processLayout.ts"
import type { JoinType } from "./intervalJoin.ts"
import { type JoinSide, type Side, type TwoInputs, twoInputs } from "./sides.ts"

/** What a `TableJoin` is made of, by the plan. */
export interface TableJoinOptions extends EventTimeOptions {
  readonly left: JoinSide
  readonly right: JoinSide
  /**
   * `stream`: events on the left find what the table on the right holds when they come. `table`: both sides are tables, and
   * each change of one changes the result.
   */
  readonly kind: "stream" | "table"
  readonly type: JoinType
  /** Whether a row says that there is none any more. Called once for each row of a table. */
  readonly isDeleted: Readonly<Record<Side, (row: never) => boolean>>
  readonly combine: (left: never, right: never) => object
}

type Made = (left: object | undefined, right: object | undefined) => object

/**
 * Joins by the latest row of each key, in the order in which the log has them: by arrival, whatever their event time is (a
 * `TemporalJoin` goes by that). Between two tables the result is a table itself, and comes as `Change`s.
 */
export class TableJoin extends EventTimeOperator implements TwoInputs {
  readonly left: Input
  readonly right: Input
  private readonly rows: Readonly<Record<Side, Cells<Stamped>>>
  private readonly isStream: boolean
  private readonly alone: Readonly<Record<Side, boolean>>
  private readonly isDeleted: Readonly<Record<Side, (row: object) => boolean>>
  private readonly combine: Made

  constructor(options: TableJoinOptions) {
    const { id, left, right, kind, type } = options
    const cells = (handle: number, codec: ValueCodec<unknown>) =>
      new Cells<Stamped>({ id, handle, codec: stampedCodec(codec), timed: false })
    const rows = { left: cells(FIRST_STATE, left.codec), right: cells(FIRST_STATE + 1, right.codec) }
    super(options, `${kind} join with a table (${type})`, [
      keyedPart("left", "value", false, rows.left, left.codec.shape),
      keyedPart("right", "value", false, rows.right, right.codec.shape)
    ])
    this.rows = rows
    this.isStream = kind === "stream"
    this.alone = { left: type === "left" || type === "full", right: type === "right" || type === "full" }
    this.isDeleted = options.isDeleted as typeof this.isDeleted
    this.combine = options.combine as Made
    const inputs = twoInputs(left, right, {
      take: (side, key, record, timestamp) => this.take(side, key, { record, timestamp: this.time(timestamp) }),
      advance: watermark => this.advance(watermark)
    })
    this.left = inputs.left
    this.right = inputs.right
  }

  /** Rows stay until they are deleted. */
  protected perform(): void {}

  private take(side: Side, key: Key, row: Stamped): void {
    if (this.isStream && side === "left") return this.find(key, row)
    if (this.isStream) return this.put(side, key, row)
    const before = this.joined(key)
    this.put(side, key, row)
    this.change(key, before, this.joined(key), row.timestamp)
  }

  /** An event, beside what there is for it. */
  private find(key: Key, { record, timestamp }: Stamped): void {
    const row = this.rows.right.find(key, undefined)?.value
    if (row !== undefined || this.alone.left) this.emit(key, this.combine(record, row?.record), timestamp)
  }

  private put(side: Side, key: Key, row: Stamped): void {
    const cells = this.rows[side]
    if (!this.isDeleted[side](row.record)) return cells.put(key, undefined, row, Number.POSITIVE_INFINITY)
    const cell = cells.find(key, undefined)
    if (cell !== undefined) cells.remove(cell)
  }

  /** The row of the result that both sides make now. */
  private joined(key: Key): object | undefined {
    const left = this.rows.left.find(key, undefined)?.value.record
    const right = this.rows.right.find(key, undefined)?.value.record
    const there = left !== undefined ? right !== undefined || this.alone.left : right !== undefined && this.alone.right
    return there ? this.combine(left, right) : undefined
  }

  private change(key: Key, before: object | undefined, now: object | undefined, timestamp: number): void {
    const give = (op: Op, record: object) => this.emit(key, { op, record } satisfies Change, timestamp)
    if (before !== undefined) give(now === undefined ? "-D" : "-U", before)
    if (now !== undefined) give(before === undefined ? "+I" : "+U", now)
  }
}
