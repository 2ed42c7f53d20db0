import { type CalendarUnit, calendarOf } from "../../time/calendar.ts"

/** How event time is cut into windows. All lengths in ms. */
export type WindowAssigner =
  | { readonly kind: "tumbling"; readonly sizeMs: number; readonly offsetMs: number }
  | { readonly kind: "sliding"; readonly sizeMs: number; readonly slideMs: number; readonly offsetMs: number }
  | { readonly kind: "cumulative"; readonly sizeMs: number; readonly stepMs: number; readonly offsetMs: number }
  | { readonly kind: "calendar"; readonly unit: CalendarUnit; readonly timeZone: string }
  | { readonly kind: "session"; readonly gapMs: number | ((record: never) => number) }
  | { readonly kind: "global" }

/** A window: `[start, end)`. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** The one window that holds everything. */
export const GLOBAL: Span = { start: Number.NEGATIVE_INFINITY, end: Number.POSITIVE_INFINITY }

/** The windows of an event, by their start, and where they start together by their end. */
export type Assign = (timestamp: number, record: object) => readonly Span[]

/** Where the cell of a grid that holds `timestamp` begins: for negative times too. */
const gridStart = (timestamp: number, sizeMs: number, offsetMs: number): number =>
  Math.floor((timestamp - offsetMs) / sizeMs) * sizeMs + offsetMs

export const assigning = (assigner: WindowAssigner): Assign => {
  switch (assigner.kind) {
    case "tumbling":
      return sliding({ ...assigner, slideMs: assigner.sizeMs })
    case "sliding":
      return sliding(assigner)
    case "cumulative":
      return cumulative(assigner)
    case "calendar":
      return calendar(assigner)
    case "session":
      return session(assigner.gapMs)
    case "global":
      return () => [GLOBAL]
  }
}

const sliding =
  ({ sizeMs, slideMs, offsetMs }: { sizeMs: number; slideMs: number; offsetMs: number }): Assign =>
  timestamp => {
    const spans: Span[] = []
    for (let start = gridStart(timestamp, slideMs, offsetMs); start > timestamp - sizeMs; start -= slideMs)
      spans.push({ start, end: start + sizeMs })
    return spans.reverse()
  }

const cumulative =
  ({ sizeMs, stepMs, offsetMs }: { sizeMs: number; stepMs: number; offsetMs: number }): Assign =>
  timestamp => {
    const start = gridStart(timestamp, sizeMs, offsetMs)
    const spans: Span[] = []
    for (let end = start + stepMs; end <= start + sizeMs; end += stepMs) if (timestamp < end) spans.push({ start, end })
    return spans
  }

const calendar = ({ unit, timeZone }: { unit: CalendarUnit; timeZone: string }): Assign => {
  const { unitOf, startOf } = calendarOf(unit, timeZone)
  return timestamp => {
    const number = unitOf(timestamp)
    return [{ start: startOf(number), end: startOf(number + 1) }]
  }
}

const session =
  (gapMs: number | ((record: never) => number)): Assign =>
  (timestamp, record) => {
    const gap = typeof gapMs === "number" ? gapMs : (gapMs as (record: object) => number)(record)
    if (!(gap > 0)) throw new RangeError(`The gap of a session must be more than 0 ms, and is ${gap}`)
    return [{ start: timestamp, end: timestamp + gap }]
  }

const shifted = (offsetMs: number): string => (offsetMs === 0 ? "" : ` shifted by ${offsetMs} ms`)

/** What it does, as a person reads it. */
export const showAssigner = (assigner: WindowAssigner): string => {
  switch (assigner.kind) {
    case "tumbling":
      return `tumbling ${assigner.sizeMs} ms${shifted(assigner.offsetMs)}`
    case "sliding":
      return `sliding ${assigner.sizeMs} ms by ${assigner.slideMs} ms${shifted(assigner.offsetMs)}`
    case "cumulative":
      return `cumulative ${assigner.sizeMs} ms by ${assigner.stepMs} ms${shifted(assigner.offsetMs)}`
    case "calendar":
      return `each ${assigner.unit} in ${assigner.timeZone}`
    case "session":
      return `session with a gap of ${typeof assigner.gapMs === "number" ? `${assigner.gapMs} ms` : "its events"}`
    case "global":
      return "global"
  }
}
