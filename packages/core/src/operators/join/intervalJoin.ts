import type { Key } from "../../key.ts"
import type { Input } from "../../operator.ts"
import { type Cell, Cells } from "../../state/cells.ts"
import { type Stamped, stampedCodec } from "../../state/stamped.ts"
import { EventTimeOperator, type EventTimeOptions, keyedPart, LateEvents } from "../eventTime.ts"
import { FIRST_STATE } from "../processLayout.ts"
import { type JoinSide, type Side, type TwoInputs, twoInputs } from "./sides.ts"

/** Which events without a partner are given out, beside nothing in place of the partner. */
export type JoinType = "inner" | "left" | "right" | "full"

/** What an `IntervalJoin` is made of, by the plan. */
export interface IntervalJoinOptions extends EventTimeOptions {
  readonly left: JoinSide
  readonly right: JoinSide
  /** A pair's `right.timestamp − left.timestamp` lies in `[lowerMs, upperMs]`, both bounds included. */
  readonly lowerMs: number
  readonly upperMs: number
  readonly type: JoinType
  /** Called once for each pair; one side is undefined where an event had no partner. */
  readonly combine: (left: never, right: never) => object
}

/** An event that waits for partners. */
interface Waiting extends Stamped {
  readonly paired: boolean
}

/**
 * Pairs events of one key whose times lie within an interval of each other, by Flink's rules. A pair is given out when
 * its second event comes, at the greater of both times. What has had no partner is given out, in outer joins, when the
 * watermark says that none will come, at that time. An event is kept only as long as partners may come.
 */
export class IntervalJoin extends EventTimeOperator implements TwoInputs {
  readonly left: Input
  readonly right: Input
  readonly late: Readonly<Record<Side, LateEvents>>
  private readonly waiting: Readonly<Record<Side, Cells<Waiting>>>
  /** How long an event of a side is kept beyond its time. */
  private readonly keptMs: Readonly<Record<Side, number>>
  private readonly outer: Readonly<Record<Side, boolean>>
  private readonly lowerMs: number
  private readonly upperMs: number
  private readonly combine: (left: object | undefined, right: object | undefined) => object

  constructor(options: IntervalJoinOptions) {
    const { id, left, right, lowerMs, upperMs, type } = options
    const waiting = {
      left: new Cells<Waiting>({ id, handle: FIRST_STATE, codec: waitingCodec(left), timed: true }),
      right: new Cells<Waiting>({ id, handle: FIRST_STATE + 1, codec: waitingCodec(right), timed: true })
    }
    super(options, `interval join (${type}) from ${lowerMs} to ${upperMs} ms`, [
      keyedPart("left", "list", true, waiting.left, left.codec.shape),
      keyedPart("right", "list", true, waiting.right, right.codec.shape)
    ])
    this.waiting = waiting
    this.keptMs = { left: Math.max(0, upperMs), right: Math.max(0, -lowerMs) }
    this.outer = { left: type === "left" || type === "full", right: type === "right" || type === "full" }
    this.lowerMs = lowerMs
    this.upperMs = upperMs
    this.combine = options.combine as typeof this.combine
    this.late = { left: new LateEvents(left.late), right: new LateEvents(right.late) }
    const inputs = twoInputs(left, right, {
      take: (side, key, record, timestamp) => this.take(side, key, record, timestamp),
      advance: watermark => this.advance(watermark)
    })
    this.left = inputs.left
    this.right = inputs.right
  }

  /** Partners can come no more. */
  protected perform(): void {
    const side = this.firstDue()
    const cell = this.waiting[side].first()!
    this.waiting[side].remove(cell)
    const { paired, record } = cell.value
    if (this.outer[side] && !paired) this.emit(cell.key, this.alone(side, record), cell.due)
  }

  private firstDue(): Side {
    const [left, right] = [this.waiting.left, this.waiting.right]
    if (!left.isDue(this.current)) return "right"
    if (!right.isDue(this.current)) return "left"
    return left.first()!.due <= right.first()!.due ? "left" : "right"
  }

  private take(side: Side, key: Key, record: object, timestamp: number): void {
    const reached = this.times.of(key, this.current)
    if (this.time(timestamp) < reached) return this.late[side].take(record, timestamp)
    const partners = this.partners(side, key, timestamp, reached)
    const other = side === "left" ? "right" : "left"
    for (const partner of partners) {
      const { value, due, sub } = partner
      if (!value.paired && this.outer[other]) this.waiting[other].put(key, sub, { ...value, paired: true }, due)
      const pair = side === "left" ? this.combine(record, value.record) : this.combine(value.record, record)
      this.emit(key, pair, Math.max(timestamp, value.timestamp))
    }
    const own = this.waiting[side]
    // Kept until the watermark reaches that time, and at least until it moves again.
    const due = Math.max(timestamp + this.keptMs[side], reached + 1)
    own.put(key, own.next(key), { timestamp, record, paired: partners.length > 0 }, due)
  }

  /** In the order of their arrival. What is due has gone, whether it was taken out already or not. */
  private partners(side: Side, key: Key, timestamp: number, reached: number): readonly Cell<Waiting>[] {
    const all = this.waiting[side === "left" ? "right" : "left"].some(key)
    const found = all.filter(({ due, value }) => due > reached && this.fits(side, timestamp, value.timestamp))
    return found.sort((a, b) => (a.sub as number) - (b.sub as number))
  }

  private fits(side: Side, own: number, other: number): boolean {
    const apart = side === "left" ? other - own : own - other
    return this.lowerMs <= apart && apart <= this.upperMs
  }

  private alone(side: Side, record: object): object {
    return side === "left" ? this.combine(record, undefined) : this.combine(undefined, record)
  }
}

/** Whether it is paired, then `time · record`. */
const waitingCodec = ({ codec }: JoinSide) => {
  const stamped = stampedCodec(codec)
  return {
    write: (value: Waiting, out: Parameters<typeof stamped.write>[1]) => {
      out.u8(value.paired ? 1 : 0)
      stamped.write(value, out)
    },
    read: (bytes: Uint8Array, start: number, end: number): Waiting => ({
      paired: bytes[start] === 1,
      ...stamped.read(bytes, start + 1, end)
    })
  }
}
