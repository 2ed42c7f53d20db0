import type { Group } from "../../state/group.ts"
import type { GroupedState } from "../../state/grouped.ts"
import type { Grid } from "./grid.ts"

/** An open pane: its number on the grid, its contents, and when its windows are due. */
export interface Pane {
  readonly number: number
  readonly group: Group
  /** The last ms of the first and of the last window that it is part of. */
  readonly firstMax: number
  readonly lastMax: number
}

/** Recently used panes are found by number modulo this, without a hash of a double. A power of two. */
const NEAR = 8

/** The open panes of windows on a grid: each is a namespace of the state, called after its start. */
export class Panes {
  /** The earliest time at which a window is to fire or a pane to go. */
  nextTimer = Number.POSITIVE_INFINITY
  private readonly grid: Grid
  private readonly contents: GroupedState
  private readonly allowedLatenessMs: number
  private readonly all = new Map<number, Pane>()
  private readonly recent: (Pane | undefined)[] = new Array(NEAR).fill(undefined)

  constructor(grid: Grid, contents: GroupedState, allowedLatenessMs: number) {
    this.grid = grid
    this.contents = contents
    this.allowedLatenessMs = allowedLatenessMs
  }

  get count(): number {
    return this.all.size
  }

  /** A pane that was used just before. */
  near(number: number): Pane | undefined {
    const pane = this.recent[number & (NEAR - 1)]
    return pane !== undefined && pane.number === number ? pane : undefined
  }

  at(number: number): Pane | undefined {
    return this.all.get(number)
  }

  /** The pane of this number, opened if need be; undefined if all of its windows are over, or it has none. */
  open(number: number, current: number): Pane | undefined {
    const { grid } = this
    if (Number.isNaN(number) || grid.maxTimestamp(grid.last(number)) + this.allowedLatenessMs <= current)
      return undefined
    const pane = this.all.get(number) ?? this.enlist(this.contents.open(grid.startOf(number)), current)
    this.recent[number & (NEAR - 1)] = pane
    return pane
  }

  /** The first window that ends after `fired` and has something in it. */
  nextWindow(fired: number): number | undefined {
    const after = this.grid.after(fired)
    let next = Number.POSITIVE_INFINITY
    for (const { number } of this.all.values()) {
      const window = Math.max(this.grid.first(number), after)
      if (window < next && window <= this.grid.last(number)) next = window
    }
    return next === Number.POSITIVE_INFINITY ? undefined : next
  }

  /** Drops what has fired and is beyond the allowed lateness, and forgets the short way to what takes no event any more. */
  retire(fired: number, current: number): void {
    for (const { lastMax, group } of this.all.values())
      if (lastMax <= fired && lastMax + this.allowedLatenessMs <= current) this.contents.drop(group)
    this.reopen(current)
  }

  /** Makes the list of open panes what the contents say. */
  reopen(current: number): void {
    this.all.clear()
    this.recent.fill(undefined)
    this.nextTimer = Number.POSITIVE_INFINITY
    for (const group of this.contents.groups.values()) this.enlist(group, current)
  }

  private enlist(group: Group, current: number): Pane {
    const { grid } = this
    const number = grid.paneOf(group.namespace)
    const [first, last] = [grid.first(number), grid.last(number)]
    const pane = { number, group, firstMax: grid.maxTimestamp(first), lastMax: grid.maxTimestamp(last) }
    this.all.set(number, pane)
    const next = Math.max(first, grid.after(current))
    const timer = next <= last ? grid.maxTimestamp(next) : pane.lastMax + this.allowedLatenessMs
    this.nextTimer = Math.min(this.nextTimer, timer)
    return pane
  }
}
