import type { Key } from "../key.ts"
import type { Input } from "../operator.ts"
import type { Timers } from "../state/timers.ts"

/** What the functions of a process operator are given. It speaks of the current call, and only during that. */
export interface ProcessContext<K, States, Out, Sides = Readonly<Record<never, never>>, Shared = undefined> {
  readonly key: K
  /**
   * The event time of the record, or the time that the timer was registered for. A timer in processing time has none:
   * there it is the earliest event time that is not late.
   */
  readonly timestamp: number
  /** What is not later than this is late. In a timer's call it is where the watermark stands as it passes the timer. */
  readonly watermark: number
  /** The wall clock of the machine, in ms. It may differ from that of another machine, and be set back. */
  readonly processingTime: number
  readonly state: States
  /** In event time: call `onTimer` for this key when the watermark passes the time. */
  readonly timers: TimerService
  /** In processing time: call `onProcessingTimer` for this key when the wall clock reaches the time. */
  readonly processingTimers: TimerService
  /** What the broadcast stream has left, for all keys; undefined where there is no such stream. */
  readonly broadcast: Shared
  /** Hands a record on, at `timestamp`. */
  readonly emit: (record: Out) => void
  /** Hands a record to a side output, at `timestamp`. Where nobody reads it, it is gone. */
  readonly emitTo: <Name extends keyof Sides>(side: Name, record: Sides[Name]) => void
}

export interface TimerService {
  /** Once, however often it is registered. One whose time has passed already is due at once. */
  readonly register: (time: number) => void
  readonly delete: (time: number) => void
}

/** The same, whatever it is about. */
export type Context = ProcessContext<
  Key,
  Readonly<Record<string, unknown>>,
  object,
  Readonly<Record<string, object>>,
  unknown
>

/** The context, one for all calls: it stands at a key and a time, and outside of a call at none. */
export class Call implements Context {
  state: Readonly<Record<string, unknown>> = {}
  broadcast: unknown
  readonly timers: TimerService
  readonly processingTimers: TimerService
  readonly emit: Context["emit"]
  readonly emitTo: Context["emitTo"]
  private readonly id: string
  private readonly clock: { readonly now: number }
  private running: { readonly key: Key; readonly timestamp: number; readonly watermark: number } | undefined

  constructor(
    id: string,
    timers: Timers,
    processingTimers: Timers,
    clock: { readonly now: number },
    output: Input,
    sides: ReadonlyMap<string, Input>
  ) {
    this.id = id
    this.clock = clock
    this.timers = {
      register: time => timers.register(this.key, time, this.watermark),
      delete: time => timers.delete(this.key, time)
    }
    this.processingTimers = {
      register: time => processingTimers.register(this.key, time),
      delete: time => processingTimers.delete(this.key, time)
    }
    this.emit = record => output.next(record, this.timestamp)
    this.emitTo = (side, record) => sides.get(side)?.next(record, this.timestamp)
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
  get processingTime(): number {
    return this.clock.now
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
