import type { Aggregate } from "../aggregate.ts"
import { Aggregation, type Part } from "../aggregation.ts"
import { KeyError, type Keyed, keyed, readKey } from "../key.ts"
import { type Input, NO_WATERMARK } from "../operator.ts"
import { FIRST_NUMBER } from "../state/group.ts"
import { GroupedState } from "../state/grouped.ts"
import { NotedState } from "../state/noted.ts"
import { OperatorState } from "../state/operator.ts"
import { type StateDefinition, windowDefinition } from "../state/schema.ts"
import type { Spilling, SpillStore } from "../state/spill.ts"
import { ValueState } from "../state/value.ts"
import { GroupedDistinct } from "./distinct.ts"
import { LateEvents } from "./eventTime.ts"
import { FiredFloors } from "./firedFloors.ts"
import { type Progress, progressCodec, START } from "./progress.ts"
import type { Bytes, Place } from "./window/accumulator.ts"
import { withoutSets } from "./window/folded.ts"
import { type Grid, type GridAssigner, gridOf } from "./window/grid.ts"
import { Merging, type Run } from "./window/merging.ts"
import { type Pane, Panes } from "./window/panes.ts"

/** What a `GridWindow` is made of, by the plan and by its place in the chain. */
export interface GridWindowOptions {
  readonly id: string
  readonly assigner: GridAssigner
  readonly allowedLatenessMs: number
  /** Where windows are of several panes, custom ones need a `merge`. */
  readonly aggregates: Readonly<Record<string, Aggregate>>
  /** What comes in are the parts that a `Combiner` of the same aggregates hands on. */
  readonly ofParts?: boolean
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

/**
 * Event-time windows on a grid (tumbling, sliding, cumulative, those of a calendar), by Flink's rules. An event is added to one pane, however
 * many windows it stands in; a firing merges the panes of each key. A window fires once the watermark reaches its last ms;
 * until the allowed lateness is over as well, each event that is added fires its key again, with the whole contents. Emits
 * `{ key, windowStart, windowEnd, ...aggregates }` at the window's last ms, windows in time order and within one in an
 * order of keys that depends on the partition's log only: that in which they first came, where a window is one pane. The
 * watermark is state, and so is how far the firing has come (see `atOnce`): a window that is due takes no event any
 * more unless lateness is allowed, and then it is fired to its end first.
 */
export class GridWindow extends NotedState implements Input {
  readonly id: string
  readonly operator: number
  /** What its state is made of. */
  readonly definition: StateDefinition
  /** The key of the result that is being emitted: for keyed operators and sinks behind `output`. */
  readonly outputKey: Keyed = keyed()
  readonly late: LateEvents
  private readonly allowedLatenessMs: number
  private readonly key: Keyed
  private readonly output: Input
  private readonly grid: Grid
  private readonly aggregation: Aggregation
  private readonly contents: GroupedState
  private readonly panes: Panes
  /** Undefined where a window is one pane. */
  private readonly merging: Merging | undefined
  private readonly distinct: GroupedDistinct
  private readonly atOnce: number
  private readonly ofParts: boolean
  private readonly progress: ValueState<Progress>
  protected readonly state: OperatorState
  /** The watermark: what belongs to a window before it is late. */
  private current = NO_WATERMARK
  /** All windows up to here have fired; behind `current` while some wait for `proceed`. */
  private fired = NO_WATERMARK
  /** Results that the first window behind `fired` has emitted. */
  private emitted = 0
  /** Where this partition was made of others: how far their keys had come. */
  private readonly floors: FiredFloors
  /** The window whose results are being emitted. */
  private firing = 0

  constructor(options: GridWindowOptions) {
    super()
    this.id = options.id
    this.grid = gridOf(options.assigner)
    this.allowedLatenessMs = options.allowedLatenessMs
    this.key = options.key
    this.output = options.output
    this.late = new LateEvents(options.late)
    this.atOnce = options.atOnce ?? Number.POSITIVE_INFINITY
    this.ofParts = options.ofParts === true
    const ofOnePane = this.grid.panes === 1 && !this.ofParts
    const aggregates = ofOnePane ? options.aggregates : withoutSets(options.aggregates)
    this.aggregation = new Aggregation(aggregates, this.ofParts)
    this.progress = new ValueState(options.id, 1, progressCodec, START)
    this.floors = new FiredFloors(options.id)
    this.contents = new GroupedState(options.id, this.aggregation.layout)
    this.panes = new Panes(this.grid, this.contents, options.allowedLatenessMs)
    this.distinct = new GroupedDistinct(this.contents, options.key)
    if (this.grid.panes > 1)
      this.merging = new Merging(this.contents, this.aggregation, pane => this.panes.at(pane)?.group)
    this.definition = windowDefinition({ id: options.id, assigner: options.assigner, aggregates })
    this.state = new OperatorState(this.definition, [this.progress, this.floors.ahead, this.contents])
    this.operator = this.state.operator
  }

  next(record: object, timestamp: number): void {
    const number = this.grid.paneOf(timestamp)
    const pane = this.panes.near(number) ?? this.find(number, timestamp)
    if (pane === undefined || (this.floors.some && this.isOver(pane))) this.refuse(record, timestamp)
    else this.include(pane, record, timestamp)
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
   * Merging as many rows counts as well. Returns how much it did. Called by the engine between batches while something is
   * pending.
   */
  proceed(limit: number): number {
    let left = limit
    while (this.pending && left > 0) left -= this.fireNext(left)
    if (!this.pending) this.output.watermark(this.current)
    return limit - left
  }

  override get memory(): Spilling {
    const { state, merging } = this
    if (merging === undefined) return state
    return {
      size: () => {
        const size = state.size()
        size.bytes += merging.byteSize
        return size
      },
      // What is merged is made again of the panes: it goes first.
      age: (store: SpillStore) => {
        merging.forget()
        state.age(store)
      },
      drain: limit => state.drain(limit)
    }
  }

  protected note(): void {
    const { current, fired, emitted } = this
    if (this.floors.some) this.floors.forget(fired)
    const floors = this.floors.all
    const last = this.progress.get()
    if (
      last.current !== current ||
      last.fired !== fired ||
      last.emitted !== emitted ||
      last.floors.length !== floors.length
    )
      this.progress.set({ current, fired, emitted, floors })
  }

  protected recall(prefix: boolean): void {
    const { current, fired, emitted, floors } = this.progress.get()
    this.floors.recall(floors)
    this.current = current
    this.fired = fired
    this.emitted = emitted
    this.merging?.forget()
    if (this.panes.count !== this.contents.groups.size || prefix) this.panes.reopen(this.current)
  }

  private include(pane: Pane, record: object, timestamp: number): void {
    const key = this.key
    if (key.kind !== this.contents.keyKind) this.adopt(key.kind)
    const reached = this.floors.some ? this.reached() : this.current
    const again = pane.firstMax <= reached
    if (again) this.catchUp(pane)
    const group = pane.group
    const before = group.keys
    const slot = this.contents.enter(group, key.bytes, key.start, key.end)
    const { table, values } = group.young
    const base = slot * table.stride + FIRST_NUMBER
    const isNew = group.keys !== before
    if (isNew) this.aggregation.init(table.rows, base, values, slot)
    this.distinct.group = group
    this.aggregation.add(table.rows, base, values, slot, record, timestamp, this.distinct)
    if (!again) return
    this.merging?.touched(pane.number, group, slot, isNew)
    this.update(pane, slot, reached)
  }

  /** How far the windows of the key of the record have come. */
  private reached(): number {
    return Math.max(this.current, this.floors.of(this.key.bytes, this.key))
  }

  /** For the key of the record all windows of a pane are over, though they are not for keys of slower partitions. */
  private isOver(pane: Pane): boolean {
    return pane.lastMax + this.allowedLatenessMs <= this.reached()
  }

  /** An event for windows that are due: their first firing has to be over. */
  private catchUp(pane: Pane): void {
    const until = Math.min(pane.lastMax, this.current)
    while (this.fired < until) this.fireNext(Number.POSITIVE_INFINITY)
  }

  /** Fires a key again in each window of a pane that has fired and still counts. */
  private update({ number, group }: Pane, slot: number, reached: number): void {
    const { table, values } = group.young
    const key = { bytes: table.keys, start: table.offsets[slot]!, end: table.offsets[slot + 1]! }
    const own = { numbers: table.rows, base: slot * table.stride + FIRST_NUMBER, values, slot }
    const { grid, merging } = this
    const last = Math.min(grid.last(number), grid.after(reached) - 1)
    for (let window = grid.first(number); window <= last; window++) {
      if (this.cleanup(window) <= reached) continue
      this.emit(window, key, merging === undefined ? own : merging.fold(this.run(window), key)!)
    }
  }

  private advance(watermark: number): void {
    const idle = !this.pending
    this.current = watermark
    if (watermark >= this.panes.nextTimer) return this.panes.retire(this.fired, watermark)
    // Nothing is due: the windows that are open all come later.
    if (idle) this.fired = watermark
  }

  /** Emits up to `limit` results of the first window that is due. Without one left the firing has caught up. */
  private fireNext(limit: number): number {
    const window = this.panes.nextWindow(this.fired)
    if (window === undefined || this.grid.maxTimestamp(window) > this.current) {
      this.fired = this.current
      return 0
    }
    this.firing = window
    // Those before it have nothing in them: what comes for one of them from now on is an update, and begins nothing anew.
    this.fired = Math.max(this.fired, this.grid.maxTimestamp(window - 1))
    return this.merging === undefined ? this.fireSingle(window, limit) : this.fireMerged(this.merging, window, limit)
  }

  private fireSingle(window: number, limit: number): number {
    const { group } = this.panes.at(this.grid.from(window))!
    const begin = this.emitted
    const end = Math.min(group.keys, begin + limit)
    this.contents.visit(group, begin, end, (rows, slot) => {
      const { table, values } = rows
      const key = { bytes: table.keys, start: table.offsets[slot]!, end: table.offsets[slot + 1]! }
      this.fire(window, key, { numbers: table.rows, base: slot * table.stride + FIRST_NUMBER, values, slot })
    })
    this.emitted = end
    if (end === group.keys) this.finish(window)
    return end - begin
  }

  private fireMerged(merging: Merging, window: number, limit: number): number {
    const merged = merging.prepare(this.run(window), limit)
    if (merged > 0) return Math.min(merged, limit)
    const count = merging.show(this.emitted, limit, this.emitFiring)
    this.emitted += count
    if (merging.isThrough) this.finish(window)
    return count
  }

  private run(window: number): Run {
    return { from: this.grid.from(window), cut: this.grid.cut(window), to: this.grid.to(window) }
  }

  private finish(window: number): void {
    this.fired = this.grid.maxTimestamp(window)
    this.emitted = 0
    this.merging?.leave(this.grid.from(window + 1))
    this.panes.retire(this.fired, this.current)
  }

  private readonly emitFiring = (key: Bytes, place: Place): void => this.fire(this.firing, key, place)

  /** Emits a result, unless the partition that its key came from had done so. */
  private fire(window: number, key: Bytes, place: Place): void {
    if (this.floors.some) {
      const { bytes, start, end } = key
      const floor = this.floors.of(bytes, { kind: this.contents.keyKind, start, end })
      if (this.grid.maxTimestamp(window) <= floor) return
    }
    this.emit(window, key, place)
  }

  private emit(window: number, { bytes, start, end }: Bytes, { numbers, base, values, slot }: Place): void {
    const { grid, outputKey } = this
    outputKey.kind = this.contents.keyKind
    outputKey.bytes = bytes
    outputKey.start = start
    outputKey.end = end
    const maxTimestamp = grid.maxTimestamp(window)
    const result: Record<string, unknown> = {
      key: readKey(bytes, start, end, outputKey.kind),
      windowStart: grid.startOf(grid.from(window)),
      windowEnd: maxTimestamp + 1
    }
    this.aggregation.results(numbers, base, values, slot, result)
    this.output.next(result, maxTimestamp)
  }

  /** The pane of this number, opened if need be; undefined if all of its windows are over, or it has none. */
  private find(number: number, timestamp: number): Pane | undefined {
    if (!(Math.abs(timestamp) <= Number.MAX_SAFE_INTEGER))
      throw new RangeError(`Window "${this.id}": an event's timestamp is not a time in ms (${timestamp})`)
    return this.panes.open(number, this.current)
  }

  private refuse(record: object, timestamp: number): void {
    const size = this.ofParts ? (record as Part).size : 1
    const reached = this.floors.some ? this.reached() : this.current
    if (timestamp + this.allowedLatenessMs <= reached) this.late.take(record, timestamp, size)
    else this.late.between += size
  }

  private cleanup(window: number): number {
    return this.grid.maxTimestamp(window) + this.allowedLatenessMs
  }

  private adopt(kind: number): void {
    if (this.contents.keyKind !== 0)
      throw new KeyError(`Window "${this.id}": its keys are of one kind (${this.contents.keyKind}), now came ${kind}`)
    this.contents.keyKind = kind
  }
}
