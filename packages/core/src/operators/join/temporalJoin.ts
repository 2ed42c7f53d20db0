import type { ValueCodec } from "../../codec.ts"
import type { Key } from "../../key.ts"
import type { Input } from "../../operator.ts"
import { type Cell, Cells } from "../../state/cells.ts"
import { type Stamped, stampedCodec } from "../../state/stamped.ts"
import { EventTimeOperator, type EventTimeOptions, keyedPart } from "../eventTime.ts"
import { FIRST_STATE } from "../processLayout.ts"
import { type JoinSide, type Side, type TwoInputs, twoInputs } from "./sides.ts"

/** What a `TemporalJoin` is made of, by the plan. */
export interface TemporalJoinOptions extends EventTimeOptions {
  /** The events. */
  readonly left: JoinSide
  /** The versions of what is joined to them. */
  readonly right: JoinSide
  /** Whether a version says that from its time on there is none. Called once for each. */
  readonly isDeleted: (version: never) => boolean
  /** `left`: an event without a version is given out beside undefined. */
  readonly type: "inner" | "left"
  readonly combine: (event: never, version: never) => object
}

/** A version; undefined: from here on there is none. */
type Version = object | undefined

/**
 * Joins each event with the version that was valid at its time, by Flink's rules: an event waits until the watermark
 * reaches its time, and gets the latest version that is not later. Of versions of one time the last to arrive counts.
 * A version goes once the watermark has reached the time of the next one. No event is late: one that comes behind the
 * watermark is joined with what is left.
 */
export class TemporalJoin extends EventTimeOperator implements TwoInputs {
  readonly left: Input
  readonly right: Input
  private readonly events: Cells<Stamped>
  /** By their time; due when the next one begins. */
  private readonly versions: Cells<Version>
  private readonly isDeleted: (version: object) => boolean
  private readonly outer: boolean
  private readonly combine: (event: object, version: Version) => object

  constructor(options: TemporalJoinOptions) {
    const { id, left, right, type } = options
    const events = new Cells<Stamped>({ id, handle: FIRST_STATE, codec: stampedCodec(left.codec), timed: true })
    const versions = new Cells<Version>({ id, handle: FIRST_STATE + 1, codec: versionCodec(right), timed: true })
    super(options, `temporal join (${type})`, [
      keyedPart("events", "list", true, events, left.codec.shape),
      keyedPart("versions", "map", true, versions, right.codec.shape)
    ])
    this.events = events
    this.versions = versions
    this.isDeleted = options.isDeleted as typeof this.isDeleted
    this.outer = type === "left"
    this.combine = options.combine as typeof this.combine
    const inputs = twoInputs(left, right, {
      take: (side, key, record, timestamp) => this.take(side, key, record, this.time(timestamp)),
      advance: watermark => this.advance(watermark)
    })
    this.left = inputs.left
    this.right = inputs.right
  }

  /** Events before versions of the same time go: an event of that time has the next one. */
  protected perform(): void {
    const event = this.events.isDue(this.current) ? this.events.first() : undefined
    const version = this.versions.isDue(this.current) ? this.versions.first() : undefined
    this.happen(event, version)
  }

  private happen(event: Cell<Stamped> | undefined, version: Cell<Version> | undefined): void {
    if (event !== undefined && (version === undefined || event.due <= version.due)) this.join(event)
    else this.versions.remove(version!)
  }

  /** What is due of a key happens before its next event or version. */
  private catchUp(key: Key, reached: number): void {
    const { events, versions } = this
    while (events.isDue(reached) || versions.isDue(reached)) {
      const event = firstDue(events.all(key), reached)
      const version = firstDue(versions.some(key), reached)
      if (event === undefined && version === undefined) return
      this.happen(event, version)
    }
  }

  private take(side: Side, key: Key, record: object, timestamp: number): void {
    const reached = this.times.of(key, this.current)
    this.catchUp(key, reached)
    if (side === "right") return this.begin(key, timestamp, this.isDeleted(record) ? undefined : record)
    const due = Math.max(timestamp, reached + 1)
    this.events.put(key, this.events.next(key), { timestamp, record }, due)
  }

  private join(cell: Cell<Stamped>): void {
    const { key, value } = cell
    this.events.remove(cell)
    const version = this.validAt(key, value.timestamp)?.value
    if (version !== undefined || this.outer) this.emit(key, this.combine(value.record, version), value.timestamp)
  }

  /** A version begins, and ends the one before it. */
  private begin(key: Key, timestamp: number, version: Version): void {
    const before = this.validAt(key, timestamp)
    const next = this.versions.some(key).reduce((least, { sub }) => {
      const time = sub as number
      return time > timestamp && time < least ? time : least
    }, Number.POSITIVE_INFINITY)
    if (before !== undefined && before.sub !== timestamp) this.versions.put(key, before.sub, before.value, timestamp)
    this.versions.put(key, timestamp, version, next)
  }

  private validAt(key: Key, timestamp: number): Cell<Version> | undefined {
    let latest: Cell<Version> | undefined
    for (const cell of this.versions.some(key)) {
      const time = cell.sub as number
      if (time <= timestamp && (latest === undefined || time > (latest.sub as number))) latest = cell
    }
    return latest
  }
}

/** The one that is due first, and came first of those. */
const firstDue = <A>(cells: readonly Cell<A>[], time: number): Cell<A> | undefined => {
  let first: Cell<A> | undefined
  for (const cell of cells)
    if (
      cell.due <= time &&
      (first === undefined || cell.due < first.due || (cell.due === first.due && cell.order < first.order))
    )
      first = cell
  return first
}

/** Whether there is one, then the record. */
const versionCodec = ({ codec }: JoinSide): ValueCodec<Version> => ({
  write: (version, out) => {
    out.u8(version === undefined ? 0 : 1)
    if (version !== undefined) codec.write(version, out)
  },
  read: (bytes, start, end) => (bytes[start] === 0 ? undefined : (codec.read(bytes, start + 1, end) as object))
})
