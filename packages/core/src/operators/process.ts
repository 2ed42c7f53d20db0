import { ByteWriter } from "../bytes.ts"
import { type Key, type Keyed, keyed, readKey, writeKey } from "../key.ts"
import { type Input, NO_WATERMARK, type Stateful } from "../operator.ts"
import type { Cell, Cells } from "../state/cells.ts"
import { makeHandle, type StateSpec } from "../state/handles.ts"
import { OperatorState } from "../state/operator.ts"
import { processDefinition } from "../state/schema.ts"
import { SpillError, type Spilling } from "../state/spill.ts"
import { Timers } from "../state/timers.ts"
import { ValueState } from "../state/value.ts"
import { timeCodec } from "../time.ts"

/** What the functions of a process operator are given. It speaks of the current call, and only during that. */
export interface ProcessContext<K, States, Out> {
  readonly key: K
  /** The event time of the record, or the time that the timer was registered for. */
  readonly timestamp: number
  /** What is not later than this is late. In a timer's call it is where the watermark stands as it passes the timer. */
  readonly watermark: number
  readonly state: States
  readonly timers: {
    /** Calls `onTimer` for this key when the watermark passes the time; once, however often it is registered. */
    readonly register: (time: number) => void
    readonly delete: (time: number) => void
  }
  /** Hands a record on, at `timestamp`. */
  readonly emit: (record: Out) => void
}

type Context = ProcessContext<Key, Readonly<Record<string, unknown>>, object>

export interface ProcessOptions {
  readonly id: string
  /** By name; state is found again by it. */
  readonly state: Readonly<Record<string, StateSpec>>
  readonly onRecord: (record: never, context: never) => void
  readonly onTimer: ((time: number, context: never) => void) | undefined
  /** The key of the incoming records. */
  readonly key: Keyed
  readonly output: Input
  /** Timers that one watermark fires at once; the others wait for `proceed`. Default: all. */
  readonly atOnce?: number
}

/** Handle numbers: the watermark, the timers, then the user's states by name. */
const WATERMARK = 1
const TIMERS = 2
const FIRST_STATE = 3

/**
 * User code over keyed state and event-time timers. A timer fires when the watermark reaches its time, in the order of
 * time, once, before the watermark goes on; those of a key fire before a record of it that comes behind that
 * watermark, also where others still wait for `proceed`. To a timer, event time stands at its own time, however far
 * the watermark went in one step. So what happens to a key depends on its records, its timers and on nothing else,
 * apart from records that are late: those see how far the watermark has come.
 */
export class Process implements Input, Stateful {
  readonly id: string
  readonly operator: number
  /** The key that the functions are called for: for keyed operators and sinks behind `output`. */
  readonly outputKey: Keyed = keyed()
  private readonly key: Keyed
  private readonly output: Input
  private readonly onRecord: (record: object, context: Context) => void
  private readonly onTimer: (time: number, context: Context) => void
  private readonly atOnce: number
  private readonly call: Call
  private readonly timers: Timers
  private readonly progress: ValueState<number>
  private readonly expiring: readonly Cells<unknown>[]
  private readonly state: OperatorState
  private readonly written = new ByteWriter(64)
  /** The watermark. */
  private current = NO_WATERMARK

  constructor(options: ProcessOptions) {
    const { id, onTimer } = options
    this.id = id
    this.key = options.key
    this.output = options.output
    this.onRecord = options.onRecord as typeof this.onRecord
    this.onTimer = (onTimer ?? noTimers(id)) as typeof this.onTimer
    this.atOnce = options.atOnce ?? Number.POSITIVE_INFINITY
    this.progress = new ValueState(id, WATERMARK, timeCodec, NO_WATERMARK)
    this.timers = new Timers(id, TIMERS)
    this.call = new Call(id, this.timers, options.output)
    const states = Object.entries(options.state).toSorted(([a], [b]) => (a < b ? -1 : 1))
    const handles = states.map(([name, spec], i) => [name, makeHandle(id, FIRST_STATE + i, spec, this.call)] as const)
    this.call.state = Object.fromEntries(handles.map(([name, { handle }]) => [name, handle]))
    const cells = handles.map(([, one]) => one.cells)
    this.expiring = cells.filter((_, i) => states[i]![1].ttlMs !== undefined)
    this.state = new OperatorState(processDefinition(id, options.state), [this.progress, this.timers.cells, ...cells])
    this.operator = this.state.operator
  }

  next(record: object, timestamp: number): void {
    if (!Number.isFinite(timestamp))
      throw new RangeError(`Process "${this.id}": an event's timestamp is not a time in ms (${timestamp})`)
    const { bytes, start, end, kind } = this.key
    const key = readKey(bytes, start, end, kind)
    if (this.timers.cells.isDue(this.current)) this.catchUp(key)
    this.emitUnder(bytes, start, end, kind)
    this.call.begin(key, timestamp, this.current)
    this.onRecord(record, this.call)
    this.call.end()
  }

  watermark(watermark: number): void {
    if (watermark > this.current) this.current = watermark
    this.proceed(this.atOnce)
  }

  /** Whether timers, or entries that have expired, wait for `proceed`. */
  get pending(): boolean {
    return this.timers.cells.isDue(this.current) || this.expiring.some(cells => cells.isDue(this.current))
  }

  /**
   * Fires up to `limit` timers that are due, and behind the last one hands on the watermark that they waited for; then
   * removes what has expired. Returns how much it did. Called by the engine between batches while something is pending.
   */
  proceed(limit: number): number {
    let done = 0
    for (; done < limit && this.timers.cells.isDue(this.current); done++) this.fire(this.timers.cells.first()!)
    if (!this.timers.cells.isDue(this.current)) this.output.watermark(this.current)
    // Only behind all timers: one that still waits has to find what had not expired at its time.
    for (const cells of this.expiring)
      for (; done < limit && cells.isDue(this.current); done++) cells.remove(cells.first()!)
    return done
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
    this.current = this.progress.get()
  }

  get memory(): Spilling {
    return this.state
  }

  private note(): void {
    if (this.progress.get() !== this.current) this.progress.set(this.current)
  }

  /** The timers of a key that its next record finds due. */
  private catchUp(key: Key): void {
    for (;;) {
      const timer = this.timers.dueOf(key, this.current)
      if (timer === undefined) return
      this.fire(timer)
    }
  }

  private fire(timer: Cell<undefined>): void {
    this.timers.cells.remove(timer)
    const { written } = this
    written.clear()
    const kind = writeKey(written, timer.key)
    this.emitUnder(written.bytes, 0, written.length, kind)
    const time = timer.sub as number
    this.call.begin(timer.key, time, timer.due)
    try {
      this.onTimer(time, this.call)
    } catch (cause) {
      if (cause instanceof SpillError) throw cause
      const what = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
      throw new Error(`"${this.id}" at its timer ${time} of the key ${String(timer.key)}: ${what}`, { cause })
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

const noTimers = (id: string) => (): never => {
  throw new Error(`Process "${id}" has a timer in its state and no onTimer: put the function back`)
}

/** The context, one for all calls: it stands at a key and a time, and outside of a call at none. */
class Call implements Context {
  state: Readonly<Record<string, unknown>> = {}
  readonly timers: Context["timers"]
  readonly emit: Context["emit"]
  private readonly id: string
  private running: { readonly key: Key; readonly timestamp: number; readonly watermark: number } | undefined

  constructor(id: string, timers: Timers, output: Input) {
    this.id = id
    this.timers = {
      register: time => timers.register(this.key, time, this.watermark),
      delete: time => timers.delete(this.key, time)
    }
    this.emit = record => output.next(record, this.timestamp)
  }

  get key(): Key {
    return this.at.key
  }
  get timestamp(): number {
    return this.at.timestamp
  }
  get watermark(): number {
    return this.at.watermark
  }
  /** The time by which state expires: a late record does not bring back what is gone. */
  get now(): number {
    return Math.max(this.at.timestamp, this.at.watermark)
  }

  begin(key: Key, timestamp: number, watermark: number): void {
    this.running = { key, timestamp, watermark }
  }

  end(): void {
    this.running = undefined
  }

  private get at() {
    if (this.running === undefined)
      throw new Error(`Process "${this.id}": its context was used after the call that it was given to`)
    return this.running
  }
}
