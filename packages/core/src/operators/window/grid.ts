import { type Calendar, calendarOf } from "../../time/calendar.ts"
import type { WindowAssigner } from "./assigner.ts"

/** Windows that stand on a grid, the same for all keys. */
export type GridAssigner = Extract<
  WindowAssigner,
  { readonly kind: "tumbling" | "sliding" | "cumulative" | "calendar" }
>

/**
 * Windows on a grid, and the panes that they are made of: an event belongs to one pane, a window is a run of panes. Both
 * are numbered in the order of time, in which windows also end. Windows that slide by what does not divide their size
 * cut each slide in two panes: where one begins, and where one ends.
 */
export interface Grid {
  /** How many panes the longest window has. */
  readonly panes: number
  /** The pane of a time; NaN in the gaps between windows that slide by more than their size. */
  readonly paneOf: (timestamp: number) => number
  /** Where a pane begins, in ms. */
  readonly startOf: (pane: number) => number
  /** The first and the last window that a pane is part of. */
  readonly first: (pane: number) => number
  readonly last: (pane: number) => number
  /** A window's panes are `[from, to)`. */
  readonly from: (window: number) => number
  readonly to: (window: number) => number
  /** Where a window is cut in two (see `Merging`): the same for all that hold it. Within `[from, to]`. */
  readonly cut: (window: number) => number
  /** The last ms that belongs to a window. */
  readonly maxTimestamp: (window: number) => number
  /** The first window whose last ms is after `time`. */
  readonly after: (time: number) => number
}

export const gridOf = (assigner: GridAssigner): Grid => {
  switch (assigner.kind) {
    case "tumbling":
      return sliding({ ...assigner, slideMs: assigner.sizeMs })
    case "sliding":
      return sliding(assigner)
    case "cumulative":
      return cumulative(assigner)
    case "calendar":
      return calendar(calendarOf(assigner.unit, assigner.timeZone))
  }
}

const calendar = ({ unitOf, startOf }: Calendar): Grid => ({
  panes: 1,
  paneOf: unitOf,
  startOf,
  first: pane => pane,
  last: pane => pane,
  from: window => window,
  to: window => window + 1,
  cut: window => window + 1,
  maxTimestamp: window => startOf(window + 1) - 1,
  after: time => (Number.isFinite(time) ? unitOf(time + 1) : time)
})

const sliding = ({ sizeMs, slideMs, offsetMs }: { sizeMs: number; slideMs: number; offsetMs: number }): Grid => {
  const rest = sizeMs % slideMs
  const slides = Math.floor(sizeMs / slideMs)
  const each = rest === 0 ? 1 : 2
  const panes = rest === 0 ? slides : slides * 2 + 1
  return {
    panes,
    paneOf: timestamp => {
      const slide = Math.floor((timestamp - offsetMs) / slideMs)
      if (rest === 0) return slide
      const isBefore = timestamp - offsetMs - slide * slideMs < rest
      return isBefore ? slide * 2 : slides === 0 ? Number.NaN : slide * 2 + 1
    },
    startOf: pane => {
      const slide = Math.floor(pane / each)
      return slide * slideMs + offsetMs + (pane - slide * each) * rest
    },
    first: pane => Math.ceil((pane - panes + 1) / each),
    last: pane => Math.floor(pane / each),
    from: window => window * each,
    to: window => window * each + panes,
    cut: window => Math.floor((window * each + panes) / panes) * panes,
    maxTimestamp: window => window * slideMs + offsetMs + sizeMs - 1,
    after: time => Math.floor((time + 1 - offsetMs - sizeMs) / slideMs) + 1
  }
}

const cumulative = ({ sizeMs, stepMs, offsetMs }: { sizeMs: number; stepMs: number; offsetMs: number }): Grid => {
  const panes = sizeMs / stepMs
  const from = (pane: number) => Math.floor(pane / panes) * panes
  return {
    panes,
    paneOf: timestamp => Math.floor((timestamp - offsetMs) / stepMs),
    startOf: pane => pane * stepMs + offsetMs,
    first: pane => pane,
    last: pane => from(pane) + panes - 1,
    from,
    to: window => window + 1,
    cut: from,
    maxTimestamp: window => (window + 1) * stepMs + offsetMs - 1,
    after: time => Math.floor((time + 1 - offsetMs - stepMs) / stepMs) + 1
  }
}
