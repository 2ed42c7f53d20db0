import { ByteWriter } from "../bytes.ts"
import type { StoredCodec } from "../codec.ts"
import { type Key, type Keyed, keyed, readKey, writeKey } from "../key.ts"
import { type Input, NO_WATERMARK } from "../operator.ts"
import type { Cell, Cells } from "../state/cells.ts"
import { makeHandle, makeShared, type StateSpec } from "../state/handles.ts"
import { NotedState } from "../state/noted.ts"
import { OperatorState } from "../state/operator.ts"
import { processDefinition } from "../state/schema.ts"
import { SpillError } from "../state/spill.ts"
import { Timers } from "../state/timers.ts"
import { Call, type Context } from "./processContext.ts"
import { FIRST_STATE, PROCESSING_TIMERS, TIMERS } from "./processLayout.ts"
import { KeyTimes } from "./reach.ts"

/** What a `Process` is made of, by the plan and by its place in the chain. */
export interface ProcessOptions {
  readonly id: string
  /** By name; state is found again by it. */
  readonly state: Readonly<Record<string, StateSpec>>
  readonly onRecord: (record: never, context: never) => void
  readonly onTimer: ((time: number, context: never) => void) | undefined
  readonly onProcessingTimer: ((time: number, context: never) => void) | undefined
  /** The wall clock in ms: it stands still during a call, and may be set back between two. */
  readonly clock: { readonly now: number }
  /** The key of the incoming records. */
  readonly key: Keyed
  readonly output: Input
  /** A map that all keys of the partition see, and what a record of the other stream does to it. */
  readonly broadcast?: Broadcast | undefined
  /** The side outputs that somebody reads, by name. */
  readonly sides?: ReadonlyMap<string, Input>
  /** Timers that one watermark fires at once; the others wait for `proceed`. Default: all. */
  readonly atOnce?: number
}

/** A map that all keys of a partition see, and who writes it. */
export interface Broadcast {
  readonly codec: StoredCodec
  /** Called once for each record of the broadcast stream, in each partition. */
  readonly onBroadcast: (record: never, map: never, timestamp: number) => void
}

type OnTimer = (time: number, context: Context) => void

/**
 * User code over keyed state and timers. One in event time fires when the watermark reaches its time, in the order of
 * time, once, before the watermark goes on; those of a key fire before a record of it that comes behind that
 * watermark, also where others still wait for `proceed`. To a timer, event time stands at its own time, however far
 * the watermark went in one step. So what happens to a key depends on its records, its timers and on nothing else,
 * apart from records that are late: those see how far the watermark has come.
 *
 * A timer in processing time fires once the wall clock has reached its time, by `proceed` only, so that a partition
 * without records has them too. That it fired is part of the state, and what it does goes into the same transaction:
 * after a restart what was committed does not fire again, and what is overdue fires at once. A clock that is set back
 * lets those wait that have not fired. None fires before event time has begun or after it has ended: what it emits could
 * not have a time.
 */
export class Process extends NotedState implements Input {
  readonly id: string
  readonly operator: number
  /** The key that the functions are called for: for keyed operators and sinks behind `output`. */
  readonly outputKey: Keyed = keyed()
  /** What the broadcast stream flows into. It does not hold event time back: records go by what it has brought so far. */
  readonly broadcasts: Input
  private readonly key: Keyed
  private readonly output: Input
  private readonly sides: ReadonlyMap<string, Input>
  private readonly onRecord: (record: object, context: Context) => void
  private readonly onTimer: OnTimer
  private readonly onProcessingTimer: OnTimer
  private readonly clock: { readonly now: number }
  private readonly atOnce: number
  private readonly call: Call
  private readonly timers: Timers
  private readonly processingTimers: Timers
  private readonly times: KeyTimes
  private readonly expiring: readonly Cells<unknown>[]
  protected readonly state: OperatorState
  private readonly written = new ByteWriter(64)
  /** The watermark. */
  private current = NO_WATERMARK

  constructor(options: ProcessOptions) {
    super()
    const { id, onTimer, onProcessingTimer } = options
    this.id = id
    this.key = options.key
    this.output = options.output
    this.sides = options.sides ?? new Map()
    this.onRecord = options.onRecord as typeof this.onRecord
    this.onTimer = (onTimer ?? missing(id, "timer", "onTimer")) as OnTimer
    this.onProcessingTimer = (onProcessingTimer ??
      missing(id, "timer in processing time", "onProcessingTimer")) as OnTimer
    this.clock = options.clock
    this.atOnce = options.atOnce ?? Number.POSITIVE_INFINITY
    this.times = new KeyTimes(id)
    this.timers = new Timers(id, TIMERS)
    this.processingTimers = new Timers(id, PROCESSING_TIMERS)
    this.call = new Call(id, this.timers, this.processingTimers, options.clock, options.output, this.sides)
    const states = Object.entries(options.state).toSorted(([a], [b]) => (a < b ? -1 : 1))
    const handles = states.map(([name, spec], i) => [name, makeHandle(id, FIRST_STATE + i, spec, this.call)] as const)
    this.call.state = Object.fromEntries(handles.map(([name, { handle }]) => [name, handle]))
    const cells = handles.map(([, one]) => one.cells)
    this.expiring = cells.filter((_, i) => states[i]![1].ttlMs !== undefined)
    const { broadcast } = options
    const shared = broadcast && makeShared(id, FIRST_STATE + states.length, broadcast.codec)
    this.call.broadcast = shared?.handle
    this.broadcasts = broadcasting(broadcast, shared?.handle)
    this.state = new OperatorState(processDefinition(id, options.state, broadcast?.codec), [
      this.times.state,
      this.timers.cells,
      this.processingTimers.cells,
      ...cells,
      ...(shared === undefined ? [] : [shared.cells])
    ])
    this.operator = this.state.operator
  }

  next(record: object, timestamp: number): void {
    if (!Number.isFinite(timestamp))
      throw new RangeError(`Process "${this.id}": an event's timestamp is not a time in ms (${timestamp})`)
    const { bytes, start, end, kind } = this.key
    const key = readKey(bytes, start, end, kind)
    const reached = this.times.ofKeyed(this.key, this.current)
    if (this.timers.cells.isDue(reached)) this.catchUp(key, reached)
    this.emitUnder(bytes, start, end, kind)
    this.call.begin(key, timestamp, reached)
    this.onRecord(record, this.call)
    this.call.end()
  }

  watermark(watermark: number): void {
    if (watermark > this.current) this.current = watermark
    this.pass(this.atOnce)
  }

  /** Whether timers, or entries that have expired, wait for `proceed`. */
  get pending(): boolean {
    return (
      this.timers.cells.isDue(this.current) ||
      this.processingTimers.cells.isDue(this.wallClock) ||
      this.expiring.some(cells => cells.isDue(this.current))
    )
  }

  /**
   * Fires up to `limit` timers that are due, and behind the last one in event time hands on the watermark that they
   * waited for; then removes what has expired. Returns how much it did. Called by the engine between batches while
   * something is pending.
   */
  proceed(limit: number): number {
    let done = this.pass(limit)
    const { cells } = this.processingTimers
    for (; done < limit && cells.isDue(this.wallClock); done++) this.ring(cells.first()!)
    return done
  }

  /** What follows from the watermark. */
  private pass(limit: number): number {
    let done = 0
    for (; done < limit && this.timers.cells.isDue(this.current); done++) this.fire(this.timers.cells.first()!)
    if (!this.timers.cells.isDue(this.current)) this.handOn()
    // Only behind all timers: one that still waits has to find what had not expired at its time.
    for (const cells of this.expiring)
      for (; done < limit && cells.isDue(this.current); done++) cells.remove(cells.first()!)
    return done
  }

  private handOn(): void {
    this.output.watermark(this.current)
    for (const side of this.sides.values()) side.watermark(this.current)
  }

  /** By which timers in processing time are due. */
  private get wallClock(): number {
    return Number.isFinite(this.current) ? this.clock.now : Number.NEGATIVE_INFINITY
  }

  protected note(): void {
    this.times.note(this.current)
  }

  protected recall(): void {
    this.current = this.times.recall()
  }

  /** The timers of a key that its next record finds due. */
  private catchUp(key: Key, reached: number): void {
    for (;;) {
      const timer = this.timers.dueOf(key, reached)
      if (timer === undefined) return
      this.fire(timer)
    }
  }

  private fire(timer: Cell<undefined>): void {
    this.timers.cells.remove(timer)
    this.call.begin(timer.key, timer.sub as number, timer.due)
    this.run(timer, "timer", this.onTimer)
  }

  private ring(timer: Cell<undefined>): void {
    this.processingTimers.cells.remove(timer)
    const reached = this.times.of(timer.key, this.current)
    this.call.begin(timer.key, reached + 1, reached)
    this.run(timer, "timer in processing time", this.onProcessingTimer)
  }

  private run({ key, sub }: Cell<undefined>, what: string, onTimer: OnTimer): void {
    const { written } = this
    written.clear()
    const kind = writeKey(written, key)
    this.emitUnder(written.bytes, 0, written.length, kind)
    try {
      onTimer(sub as number, this.call)
    } catch (cause) {
      if (cause instanceof SpillError) throw cause
      const why = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
      throw new Error(`"${this.id}" at its ${what} ${sub} of the key ${String(key)}: ${why}`, { cause })
    }
    this.call.end()
  }

  private emitUnder(bytes: Uint8Array, start: number, end: number, kind: number): void {
    const { outputKey } = this
    outputKey.bytes = bytes
    outputKey.start = start
    outputKey.end = end
    outputKey.kind = kind
  }
}

const broadcasting = (broadcast: Broadcast | undefined, map: unknown): Input => ({
  next: (record, timestamp) => broadcast?.onBroadcast(record as never, map as never, timestamp),
  watermark: () => {}
})

const missing = (id: string, what: string, name: string) => (): never => {
  throw new Error(`Process "${id}" has a ${what} in its state and no ${name}: put the function back`)
}
