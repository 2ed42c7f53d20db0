import type { Aggregate } from "../aggregate.ts"
import { Aggregation } from "../aggregation.ts"
import type { ByteWriter } from "../bytes.ts"
import { KeyError, type Keyed, keyed, readKey } from "../key.ts"
import { type Input, NO_WATERMARK, type Stateful } from "../operator.ts"
import { type Group, GroupedState } from "../state/grouped.ts"
import { OperatorState } from "../state/operator.ts"
import { ValueState } from "../state/value.ts"
import { timeCodec } from "../time.ts"

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
 * the order in which the keys first came: it depends on the partition's log only. The watermark is state.
 */
export class TumblingWindow implements Input, Stateful {
  readonly id: string
  readonly operator: number
  /** The key of the result that is being emitted: for keyed operators and sinks behind `output`. */
  readonly outputKey: Keyed = keyed()
  /** Late events so far, diverted or dropped, in this process. */
  lateEvents = 0
  /** Those of them that had nowhere to go. */
  lateDropped = 0
  private readonly sizeMs: number
  private readonly offsetMs: number
  private readonly allowedLatenessMs: number
  private readonly key: Keyed
  private readonly output: Input
  private readonly late: Input | undefined
  private readonly aggregation: Aggregation
  private readonly contents: GroupedState
  private readonly clock: ValueState<number>
  private readonly state: OperatorState
  private current = NO_WATERMARK
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
    this.late = options.late
    this.aggregation = new Aggregation(options.aggregates)
    this.clock = new ValueState(options.id, 1, timeCodec, NO_WATERMARK)
    this.contents = new GroupedState(options.id, this.aggregation.layout)
    const shape = `tumbling ${options.sizeMs} ${options.offsetMs} ${this.aggregation.shape}`
    this.state = new OperatorState({ id: options.id, version: 1, shape }, [this.clock, this.contents])
    this.operator = this.state.operator
  }

  next(record: object, timestamp: number): void {
    const number = Math.floor((timestamp - this.offsetMs) / this.sizeMs)
    const near = this.near[number & (NEAR - 1)]
    const window = near !== undefined && near.number === number ? near : this.find(number)
    if (window === undefined) this.divert(record, timestamp)
    else this.include(window, record)
  }

  watermark(watermark: number): void {
    if (watermark > this.current) this.advance(watermark)
    this.late?.watermark(watermark)
    this.output.watermark(watermark)
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
    this.current = this.clock.get()
    if (this.open.length !== this.contents.groups.size || prefix) this.reopen()
  }

  stateBytes(): number {
    return this.state.bytes()
  }

  private note(): void {
    if (this.clock.get() !== this.current) this.clock.set(this.current)
  }

  private include(window: Open, record: object): void {
    const key = this.key
    if (key.kind !== this.contents.keyKind) this.adopt(key.kind)
    const group = window.group
    const before = group.table.count
    const slot = this.contents.enter(group, key.bytes, key.start, key.end)
    if (slot === before) this.aggregation.init(group, slot)
    this.aggregation.add(this.contents, group, slot, record, key)
    if (window.maxTimestamp <= this.current) this.emit(window, slot)
  }

  /** Fires and drops what is due, all of it seeing the new watermark as the current one. */
  private advance(watermark: number): void {
    const before = this.current
    this.current = watermark
    if (watermark < this.nextTimer) return
    for (const window of this.open)
      if (window.maxTimestamp > before && window.maxTimestamp <= watermark) this.fire(window)
    for (const window of this.open) if (this.cleanup(window.maxTimestamp) <= watermark) this.contents.drop(window.group)
    this.reopen()
  }

  private fire(window: Open): void {
    const order = window.group.order()
    const count = window.group.table.count
    for (let i = 0; i < count; i++) this.emit(window, order === undefined ? i : order[i]!)
  }

  private emit(window: Open, slot: number): void {
    const { table, namespace } = window.group
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
    this.aggregation.results(window.group, slot, result)
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

  private divert(record: object, timestamp: number): void {
    this.lateEvents++
    if (this.late === undefined) this.lateDropped++
    else this.late.next(record, timestamp)
  }

  private adopt(kind: number): void {
    if (this.contents.keyKind !== 0)
      throw new KeyError(`Window "${this.id}": its keys are of one kind (${this.contents.keyKind}), now came ${kind}`)
    this.contents.keyKind = kind
  }
}
