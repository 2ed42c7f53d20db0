import type { Part } from "../../aggregation.ts"
import { type Key, type Keyed, readKey } from "../../key.ts"
import { END_OF_TIME, type Input, NO_WATERMARK } from "../../operator.ts"
import type { Cell } from "../../state/cells.ts"
import { EventTimeOperator, type EventTimeOptions, LateEvents } from "../eventTime.ts"
import { type Assign, assigning, type Span, showAssigner, type WindowAssigner } from "./assigner.ts"
import type { Contents } from "./contents.ts"
import type { Trigger } from "./trigger.ts"
import { type KeyWindow, maxTimestampOf, openWindow, TriggerView } from "./window.ts"

/** What a `KeyedWindow` is made of, by the plan and by its place in the chain. */
export interface KeyedWindowOptions extends EventTimeOptions {
  readonly assigner: WindowAssigner
  readonly trigger: Trigger
  readonly allowedLatenessMs: number
  readonly contents: Contents
  /** What comes in are the parts that a `Combiner` hands on, and its contents are made for them. */
  readonly ofParts?: boolean
  /** What the windows make of what they hold, as a person reads it. */
  readonly what: string
  /** The key of the incoming records. */
  readonly key: Keyed
  /** Where late events go, with their timestamp; without it they are dropped and counted. */
  readonly late: Input | undefined
}

/**
 * Windows of each key on its own, by Flink's rules: any assigner, any trigger, sessions that merge. What it gives out
 * depends on the events and watermarks of a key and on nothing else; a watermark that goes far at once makes what it
 * has passed due in the order of time. The watermark is state, and so are the windows with all that their triggers know.
 */
export class KeyedWindow extends EventTimeOperator implements Input {
  readonly late: LateEvents
  private readonly key: Keyed
  private readonly assign: Assign
  private readonly merging: boolean
  private readonly trigger: Trigger
  private readonly allowedLatenessMs: number
  private readonly contents: Contents
  private readonly ofParts: boolean
  private readonly view = new TriggerView()
  /** How far event time has come for the key that stands in turn. */
  private reachedHere = NO_WATERMARK

  constructor(options: KeyedWindowOptions) {
    const { assigner, trigger, contents, what } = options
    super(options, `${showAssigner(assigner)}, ${trigger.name}: ${what}`, contents.parts)
    this.key = options.key
    this.assign = assigning(assigner)
    this.merging = assigner.kind === "session"
    this.trigger = trigger
    this.allowedLatenessMs = options.allowedLatenessMs
    this.contents = contents
    this.ofParts = options.ofParts === true
    this.view.allowedLatenessMs = options.allowedLatenessMs
    this.late = new LateEvents(options.late)
  }

  next(record: object, timestamp: number): void {
    const { bytes, start, end, kind } = this.key
    this.take(readKey(bytes, start, end, kind), record, timestamp)
  }

  watermark(watermark: number): void {
    this.late.watermark(watermark)
    this.advance(watermark)
  }

  /** Takes an event of a key, whatever stream it is of. */
  take(key: Key, record: object, timestamp: number): void {
    this.turnTo(key)
    this.catchUp(key)
    const spans = this.assign(this.time(timestamp), record)
    const windows = this.merging ? this.session(key, spans[0]!) : this.open(key, spans)
    if (windows.length === 0) return this.refuse(record, timestamp)
    // All of them first: what one gives up may be held by another.
    for (const window of windows) this.keep(key, window, window.timer)
    this.contents.arrive(key, record, timestamp)
    for (const window of windows) this.include(key, window, record, timestamp)
  }

  /** The first thing that is due among all windows. */
  protected perform(): void {
    const first = this.contents.windows.first()!
    this.turnTo(first.key)
    this.happen(first)
  }

  private turnTo(key: Key): void {
    this.reachedHere = this.times.of(key, this.current)
  }

  /** What is due of a key happens before its next event. */
  private catchUp(key: Key): void {
    const { windows } = this.contents
    while (windows.isDue(this.reachedHere)) {
      const due = windows.all(key).filter(cell => cell.due <= this.reachedHere)
      if (due.length === 0) return
      this.happen(due.reduce((first, cell) => (cell.due < first.due ? cell : first)))
    }
  }

  /** A timer, and at the cleanup time the end of the window. At the end of time a timer comes once, whatever it asks for. */
  private happen({ key, value: window, due }: Cell<KeyWindow>): void {
    const last = due === END_OF_TIME || (this.reachedHere === END_OF_TIME && window.end === END_OF_TIME)
    if (window.timer <= due) {
      const time = last ? END_OF_TIME : window.timer
      window.timer = END_OF_TIME
      this.decide(key, window, this.trigger.onTime(this.look(window), time))
    }
    if (last || (due >= this.cleanup(window) && window.timer > due)) this.end(key, window)
    else this.keep(key, window, window.timer)
  }

  private end(key: Key, window: KeyWindow): void {
    const { windows } = this.contents
    windows.remove(windows.find(key, nameOf(window))!)
    this.contents.sweep(key)
  }

  /** The windows of an event that are not late. Those that are not there are opened. */
  private open(key: Key, spans: readonly Span[]): readonly KeyWindow[] {
    return spans
      .filter(span => this.cleanup(span) > this.reachedHere)
      .map(span => this.find(key, span) ?? this.begin(span))
  }

  /** The session that an event makes or joins, unless it is late, also as what it is joined to. */
  private session(key: Key, own: Span): readonly KeyWindow[] {
    const { windows } = this.contents
    const live = windows.all(key)
    let span = own
    let joined: readonly Cell<KeyWindow>[] = []
    for (let before = -1; joined.length > before; ) {
      before = joined.length
      joined = live.filter(({ value }) => touches(value, span))
      span = joined.reduce((all, { value }) => around(all, value), span)
    }
    if (this.cleanup(span) <= this.reachedHere) return []
    const [only] = joined
    if (joined.length === 1 && only!.value.start === span.start && only!.value.end === span.end) return [only!.value]
    const window = this.begin(span)
    if (joined.length > 0) this.join(key, window, joined)
    return [window]
  }

  private join(key: Key, window: KeyWindow, joined: readonly Cell<KeyWindow>[]): void {
    const from = joined.map(({ value }) => value).sort((a, b) => a.start - b.start)
    this.contents.merge(window, from)
    this.trigger.onMerge(this.look(window), from)
    for (const cell of joined) this.contents.windows.remove(cell)
    this.keep(key, window, window.timer)
  }

  private include(key: Key, window: KeyWindow, record: object, timestamp: number): void {
    this.contents.include(window, record, timestamp)
    this.decide(key, window, this.trigger.onElement(this.look(window), timestamp, record as never))
    // A time that has passed already is due with the next watermark, and not before.
    this.keep(key, window, window.timer <= this.reachedHere ? this.reachedHere + 1 : window.timer)
  }

  private decide(key: Key, window: KeyWindow, decision: ReturnType<Trigger["onElement"]>): void {
    if (decision === "continue") return
    if (decision !== "purge") this.contents.fire(key, window, record => this.emit(key, record, maxTimestampOf(window)))
    if (decision !== "fire") this.contents.purge(key, window)
  }

  private find(key: Key, span: Span): KeyWindow | undefined {
    return this.contents.windows.find(key, nameOf(span))?.value
  }

  private begin(span: Span): KeyWindow {
    const window = openWindow(span, 0)
    this.contents.begin(window)
    return window
  }

  private keep(key: Key, window: KeyWindow, timer: number): void {
    this.contents.windows.put(key, nameOf(window), window, Math.min(timer, this.cleanup(window)))
  }

  private cleanup(span: Span): number {
    return maxTimestampOf(span) + this.allowedLatenessMs
  }

  private look(window: KeyWindow): TriggerView {
    this.view.window = window
    this.view.watermark = this.reachedHere
    return this.view
  }

  private refuse(record: object, timestamp: number): void {
    const size = this.ofParts ? (record as Part).size : 1
    if (timestamp + this.allowedLatenessMs <= this.reachedHere) this.tooLate(record, timestamp, size)
    else this.late.between += size
  }

  protected tooLate(record: object, timestamp: number, size: number): void {
    this.late.take(record, timestamp, size)
  }
}

/** What a window is found by among those of its key: no two that are there end at the same time. */
const nameOf = ({ end }: Span): number => end

const touches = (a: Span, b: Span): boolean => a.start <= b.end && b.start <= a.end

const around = (a: Span, b: Span): Span => ({ start: Math.min(a.start, b.start), end: Math.max(a.end, b.end) })
