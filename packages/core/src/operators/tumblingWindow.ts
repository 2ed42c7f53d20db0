import type { Aggregate } from "../aggregate.ts"
import { Aggregation } from "../aggregation.ts"
import type { ByteWriter } from "../bytes.ts"
import { KeyError, type Keyed, keyed, readKey } from "../key.ts"
import { type Input, NO_WATERMARK, type Stateful } from "../operator.ts"
import { FIRST_NUMBER, type Group, type Rows } from "../state/group.ts"
import { GroupedState } from "../state/grouped.ts"
import { OperatorState } from "../state/operator.ts"
import { windowDefinition } from "../state/schema.ts"
import type { Spilling } from "../state/spill.ts"
import { ValueState } from "../state/value.ts"
import { GroupedDistinct } from "./distinct.ts"
import { LateEvents } from "./eventTime.ts"
import { type Progress, progressCodec, START } from "./progress.ts"

export interface TumblingWindowOptions {
  readonly id: string
  readonly sizeMs: number
  readonly offsetMs: number
  readonly allowedLatenessMs: number
  readonly aggregates: Readonly<Record<string, Aggregate>>
  /** The key of the incoming records. */
  readonly key: Keyed
  readonly output: Input
  /** Where late events go, with their timestamp; without it they are dropped and counted. */
  readonly late: Input | undefined
  /**
   * Results that one watermark emits at once; the others wait for `proceed`, so that the end of a window with a
   * hundred thousand keys does not hold up its partition. Default: all.
   */
  readonly atOnce?: number
}

/** An open window: its number on the grid, its contents, and when it is due. */
interface Open {
  readonly number: number
  readonly group: Group
  /** The last ms that belongs to it, the event time of its results. */
  readonly maxTimestamp: number
}

/** Recently used windows are found by number modulo this, without a hash of a double. A power of two. */
const NEAR = 8

/**
 * Tumbling event-time windows, by Flink's rules. A window fires once the watermark reaches its last ms; until the
 * allowed lateness is over as well, each event that is added fires its key again, with the whole contents. Emits
 * `{ key, windowStart, windowEnd, ...aggregates }` at the window's last ms, windows in time order and within one in
 * the order in which the keys first came: it depends on the partition's log only. The watermark is state, and so is how
 * far the firing has come (see `atOnce`): a window that is due takes no event any more unless lateness is allowed, and
 * then it is fired to its end first.
 */
export class TumblingWindow implements Input, Stateful {
  readonly id: string
  readonly operator: number
  /** The key of the result that is being emitted: for keyed operators and sinks behind `output`. */
  readonly outputKey: Keyed = keyed()
  readonly late: LateEvents
  private readonly sizeMs: number
  private readonly offsetMs: number
  private readonly allowedLatenessMs: number
  private readonly key: Keyed
  private readonly output: Input
  private readonly aggregation: Aggregation
  private readonly contents: GroupedState
  private readonly distinct: GroupedDistinct
  private readonly atOnce: number
  private readonly progress: ValueState<Progress>
  private readonly state: OperatorState
  /** The watermark: what belongs to a window before it is late. */
  private current = NO_WATERMARK
  /** All windows up to here have fired; behind `current` while some wait for `proceed`. */
  private fired = NO_WATERMARK
  /** Results that the first window behind `fired` has emitted. */
  private emitted = 0
  /** Open windows in time order. */
  private open: Open[] = []
  private readonly near: (Open | undefined)[] = new Array(NEAR).fill(undefined)
  /** The earliest time at which a window is to fire or to go. */
  private nextTimer = Number.POSITIVE_INFINITY

  constructor(options: TumblingWindowOptions) {
    this.id = options.id
    this.sizeMs = options.sizeMs
    this.offsetMs = options.offsetMs
    this.allowedLatenessMs = options.allowedLatenessMs
    this.key = options.key
    this.output = options.output
    this.late = new LateEvents(options.late)
    this.aggregation = new Aggregation(options.aggregates)
    this.atOnce = options.atOnce ?? Number.POSITIVE_INFINITY
    this.progress = new ValueState(options.id, 1, progressCodec, START)
    this.contents = new GroupedState(options.id, this.aggregation.layout)
    this.distinct = new GroupedDistinct(this.contents, options.key)
    this.state = new OperatorState(windowDefinition(options), [this.progress, this.contents])
    this.operator = this.state.operator
  }

  next(record: object, timestamp: number): void {
    const number = Math.floor((timestamp - this.offsetMs) / this.sizeMs)
    const near = this.near[number & (NEAR - 1)]
    const window = near !== undefined && near.number === number ? near : this.find(number)
    if (window === undefined) this.late.take(record, timestamp)
    else this.include(window, record, timestamp)
  }

  watermark(watermark: number): void {
    this.late.watermark(watermark)
    if (watermark > this.current) this.advance(watermark)
    this.proceed(this.atOnce)
  }

  /** Whether results wait for `proceed`. */
  get pending(): boolean {
    return this.fired < this.current
  }

  /**
   * Emits up to `limit` results of windows that are due, and behind the last one the watermark that they waited for.
   * Returns how many it emitted. Called by the engine between batches while something is pending.
   */
  proceed(limit: number): number {
    let left = limit
    while (this.pending && left > 0) left -= this.fireNext(left)
    if (!this.pending) this.output.watermark(this.current)
    return limit - left
  }

  delta(out: ByteWriter): void {
    this.note()
    this.state.delta(out)
  }

  snapshot(out: ByteWriter): void {
    this.note()
    this.state.snapshot(out)
  }

  restore(key: Uint8Array, value: Uint8Array | undefined, prefix = false): void {
    this.state.restore(key, value, prefix)
    const { current, fired, emitted } = this.progress.get()
    this.current = current
    this.fired = fired
    this.emitted = emitted
    if (this.open.length !== this.contents.groups.size || prefix) this.reopen()
  }

  get memory(): Spilling {
    return this.state
  }

  private note(): void {
    const { current, fired, emitted } = this
    const last = this.progress.get()
    if (last.current !== current || last.fired !== fired || last.emitted !== emitted)
      this.progress.set({ current, fired, emitted })
  }

  private include(window: Open, record: object, timestamp: number): void {
    const key = this.key
    if (key.kind !== this.contents.keyKind) this.adopt(key.kind)
    const again = window.maxTimestamp <= this.current
    if (again) this.catchUp(window)
    const group = window.group
    const before = group.keys
    const slot = this.contents.enter(group, key.bytes, key.start, key.end)
    const { table, values } = group.young
    const base = slot * table.stride + FIRST_NUMBER
    if (group.keys !== before) this.aggregation.init(table.rows, base, values, slot)
    this.distinct.group = group
    this.aggregation.add(table.rows, base, values, slot, record, timestamp, this.distinct)
    if (again) this.emit(window, group.young, slot)
  }

  /** An event for a window that is due, within the allowed lateness: its first firing has to be over. */
  private catchUp(window: Open): void {
    while (this.fired < window.maxTimestamp) this.fireNext(Number.POSITIVE_INFINITY)
  }

  private advance(watermark: number): void {
    const idle = !this.pending
    this.current = watermark
    if (watermark >= this.nextTimer) return this.retire()
    // Nothing is due: the windows that are open all come later.
    if (idle) this.fired = watermark
  }

  /** Emits up to `limit` results of the first window that is due. Without one left the firing has caught up. */
  private fireNext(limit: number): number {
    const window = this.open.find(one => one.maxTimestamp > this.fired)
    if (window === undefined || window.maxTimestamp > this.current) {
      this.fired = this.current
      return 0
    }
    const { group } = window
    const begin = this.emitted
    const end = Math.min(group.keys, begin + limit)
    this.contents.visit(group, begin, end, (rows, slot) => this.emit(window, rows, slot))
    this.emitted = end
    if (end === group.keys) this.finish(window)
    return end - begin
  }

  private finish(window: Open): void {
    this.fired = window.maxTimestamp
    this.emitted = 0
    this.retire()
  }

  /** Drops what has fired and is beyond the allowed lateness, and forgets the short way to what takes no event any more. */
  private retire(): void {
    for (const window of this.open)
      if (window.maxTimestamp <= this.fired && this.cleanup(window.maxTimestamp) <= this.current)
        this.contents.drop(window.group)
    this.reopen()
  }

  private emit(window: Open, rows: Rows, slot: number): void {
    const { namespace } = window.group
    const { table } = rows
    const key = this.outputKey
    key.kind = this.contents.keyKind
    key.bytes = table.keys
    key.start = table.offsets[slot]!
    key.end = table.offsets[slot + 1]!
    const result: Record<string, unknown> = {
      key: readKey(key.bytes, key.start, key.end, key.kind),
      windowStart: namespace,
      windowEnd: namespace + this.sizeMs
    }
    this.aggregation.results(table.rows, slot * table.stride + FIRST_NUMBER, rows.values, slot, result)
    this.output.next(result, window.maxTimestamp)
  }

  /** The window of this number, opened if need be; undefined if it is late. */
  private find(number: number): Open | undefined {
    const start = number * this.sizeMs + this.offsetMs
    if (!Number.isSafeInteger(number) || !Number.isSafeInteger(start))
      throw new RangeError(`Window "${this.id}": an event's timestamp is not a time in ms (window start ${start})`)
    if (this.cleanup(start + this.sizeMs - 1) <= this.current) return undefined
    if (!this.contents.groups.has(start)) this.enlist(this.contents.open(start))
    const window = this.open.find(one => one.number === number)
    this.near[number & (NEAR - 1)] = window
    return window
  }

  /** Makes the list of open windows what the contents say. */
  private reopen(): void {
    this.open = []
    this.near.fill(undefined)
    this.nextTimer = Number.POSITIVE_INFINITY
    for (const group of this.contents.groups.values()) this.enlist(group)
  }

  private enlist(group: Group): void {
    const maxTimestamp = group.namespace + this.sizeMs - 1
    const number = Math.round((group.namespace - this.offsetMs) / this.sizeMs)
    const later = this.open.findIndex(one => one.maxTimestamp > maxTimestamp)
    this.open.splice(later < 0 ? this.open.length : later, 0, { number, group, maxTimestamp })
    const timer = maxTimestamp > this.current ? maxTimestamp : this.cleanup(maxTimestamp)
    this.nextTimer = Math.min(this.nextTimer, timer)
  }

  private cleanup(maxTimestamp: number): number {
    return maxTimestamp + this.allowedLatenessMs
  }

  private adopt(kind: number): void {
    if (this.contents.keyKind !== 0)
      throw new KeyError(`Window "${this.id}": its keys are of one kind (${this.contents.keyKind}), now came ${kind}`)
    this.contents.keyKind = kind
  }
}
