import type { CalendarUnit, WindowAssigner } from "@headrace/core"
import type { Duration } from "effect"
import { milliseconds, plainName } from "./check.ts"
import { check } from "./error.ts"
import type { Evictor } from "./evictor.ts"
import type { Trigger } from "./trigger.ts"

/** How the events A of a key are cut into windows, and when these give out their contents. */
export interface Windowing<in A> {
  readonly assigner: WindowAssigner
  /** Undefined: when the watermark passes a window's end, and then for each late event that still counts. */
  readonly trigger: Trigger<A> | undefined
  readonly evictor: Evictor<A> | undefined
  /** How long a window that is over takes further records, in ms of event time. */
  readonly allowedLatenessMs: number
  readonly id: string | undefined
  readonly "~events"?: ((record: A) => void) | undefined
}

/** When a window gives out its contents, what of them, and by what its state is found. */
export interface WindowOptions<in A = unknown> {
  /** How long a window that is over takes further records. Default: 0. */
  readonly allowedLateness?: Duration.Input
  /** When contents are given out: see `Trigger`. Default: at the end, and for each late record that counts. */
  readonly trigger?: Trigger<A>
  /** What is taken out before contents are given out: see `Evictor`. The window then keeps all its records. */
  readonly evictor?: Evictor<A>
  /** Its state is found by it. Default: `window:<topic>/<key field>/<extent>`. */
  readonly id?: string
}

/** The same, and where the grid of windows begins. */
export interface GridOptions<in A = unknown> extends WindowOptions<A> {
  /** Shifts every window's start, for days that begin elsewhere than in UTC. Less than the grid. Default: 0. */
  readonly offset?: Duration.Input
}

/**
 * Windows of one size, side by side: `[start, start + size)`, starts being multiples of the size plus the offset.
 *
 * ```ts
 * import { Window } from "headrace"
 *
 * Window.tumbling("10 seconds").assigner // => { kind: "tumbling", sizeMs: 10000, offsetMs: 0 }
 * ```
 */
export const tumbling = <A = unknown>(size: Duration.Input, options: GridOptions<A> = {}): Windowing<A> => {
  const sizeMs = milliseconds("the size of a tumbling window", size, 1)
  return windowing({ kind: "tumbling", sizeMs, offsetMs: offsetOf(options, sizeMs, "window") }, options)
}

/**
 * Windows of one size that begin every `slide`: a record stands in each that holds its time.
 *
 * ```ts
 * import { Window } from "headrace"
 *
 * Window.sliding("1 minute", "10 seconds").assigner // => { kind: "sliding", sizeMs: 60000, slideMs: 10000, offsetMs: 0 }
 * ```
 */
export const sliding = <A = unknown>(
  size: Duration.Input,
  slide: Duration.Input,
  options: GridOptions<A> = {}
): Windowing<A> => {
  const sizeMs = milliseconds("the size of a sliding window", size, 1)
  const slideMs = milliseconds("the slide of a sliding window", slide, 1)
  return windowing({ kind: "sliding", sizeMs, slideMs, offsetMs: offsetOf(options, slideMs, "slide") }, options)
}

/**
 * Windows that grow by a step until they have reached their size, and then begin anew: totals of the day so far, every hour.
 *
 * ```ts
 * import { Window } from "headrace"
 *
 * Window.cumulative("1 day", "1 hour").assigner // => { kind: "cumulative", sizeMs: 86400000, stepMs: 3600000, offsetMs: 0 }
 * ```
 */
export const cumulative = <A = unknown>(
  size: Duration.Input,
  step: Duration.Input,
  options: GridOptions<A> = {}
): Windowing<A> => {
  const sizeMs = milliseconds("the size of a cumulative window", size, 1)
  const stepMs = milliseconds("the step of a cumulative window", step, 1)
  check(
    sizeMs % stepMs === 0,
    () => `a cumulative window of ${sizeMs} ms grows by ${stepMs} ms: make the size a multiple of the step`
  )
  return windowing({ kind: "cumulative", sizeMs, stepMs, offsetMs: offsetOf(options, sizeMs, "window") }, options)
}

/** The same, and whose clocks and calendars count. */
export interface CalendarOptions<in A = unknown> extends WindowOptions<A> {
  /** An IANA time zone, such as `Europe/Berlin`. Default: `UTC`. */
  readonly timeZone?: string
}

/**
 * Days, weeks (from Monday on) or months, as clocks and calendars of a time zone have them: the day on which clocks change
 * has 23 or 25 hours.
 *
 * ```ts
 * import { Window } from "headrace"
 *
 * Window.calendar("day", { timeZone: "Europe/Berlin" }).assigner // => { kind: "calendar", unit: "day", timeZone: "Europe/Berlin" }
 * ```
 */
export const calendar = <A = unknown>(unit: CalendarUnit, options: CalendarOptions<A> = {}): Windowing<A> => {
  const { timeZone = "UTC" } = options
  check(
    isTimeZone(timeZone),
    () => `a calendar window is in the time zone "${timeZone}", which is not known: write it as in "Europe/Berlin"`
  )
  return windowing({ kind: "calendar", unit, timeZone }, options)
}

const isTimeZone = (timeZone: string): boolean => {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone })
    return true
  } catch {
    return false
  }
}

/**
 * Windows of records that are at most a gap apart, as long as they go on. The gap is one duration, or a function of the record
 * that gives it in ms, called once for each on a view. A session is complete 1 ms before the gap is over: where nothing late is
 * allowed, a record that comes exactly a gap later, after the watermark has passed that, begins another one.
 *
 * ```ts
 * import { Window } from "headrace"
 *
 * Window.session("30 minutes").assigner // => { kind: "session", gapMs: 1800000 }
 * ```
 */
export const session = <A = unknown>(
  gap: Duration.Input | ((record: A) => number),
  options: WindowOptions<A> = {}
): Windowing<A> => {
  const gapMs = typeof gap === "function" ? gap : milliseconds("the gap of a session", gap, 1)
  return windowing({ kind: "session", gapMs }, options)
}

/**
 * One window for all time: it gives out what its trigger asks for, and nothing without one.
 *
 * ```ts
 * import { Trigger, Window } from "headrace"
 *
 * Window.global({ trigger: Trigger.count(100) }).assigner // => { kind: "global" }
 * ```
 */
export const global = <A = unknown>(options: WindowOptions<A> & { readonly trigger: Trigger<A> }): Windowing<A> =>
  windowing({ kind: "global" }, options)

const windowing = <A>(assigner: WindowAssigner, options: WindowOptions<A>): Windowing<A> => ({
  assigner,
  trigger: options.trigger,
  evictor: options.evictor,
  allowedLatenessMs: milliseconds(`allowedLateness of a ${assigner.kind} window`, options.allowedLateness ?? 0, 0),
  id: options.id === undefined ? undefined : plainName("an id", options.id)
})

const offsetOf = ({ offset }: GridOptions<never>, gridMs: number, grid: string): number => {
  if (offset === undefined) return 0
  const offsetMs = milliseconds("the offset of a window", offset, Number.NEGATIVE_INFINITY)
  check(
    Math.abs(offsetMs) < gridMs,
    () => `a ${grid} of ${gridMs} ms has an offset of ${offsetMs} ms: make it less than that`
  )
  return offsetMs
}
