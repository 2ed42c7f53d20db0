import * as core from "@headrace/core"
import type { Duration } from "effect"
import { milliseconds } from "./check.ts"
import { check } from "./error.ts"

/**
 * When a window of records A gives out its contents. One of your own is an object with the functions of this interface: it sees
 * each record, as a view, and what it remembers is in the window that it is given.
 */
export type Trigger<A = unknown> = core.Trigger<A>
/** A window as its trigger sees it, and what that remembers of it. */
export type TriggerWindow = core.TriggerWindow

/** When the watermark passes the window's end, and then for each late record that still counts: the default. */
export const eventTime: Trigger = core.eventTime

/** At the end of the input only. */
export const endOfStream: Trigger = core.endOfStream

/**
 * Each time that so many records have come. What is left at the end of the window is not given out.
 *
 * ```ts
 * import { Trigger } from "headrace"
 *
 * Trigger.purging(Trigger.count(3)).name // => "every 3 events, purging"
 * ```
 */
export const count = (records: number): Trigger => {
  check(Number.isSafeInteger(records) && records > 0, () => `a trigger counts to ${records}: make it 1 or more`)
  return core.count(records)
}

/** Each time that event time has gone on by so much, on the grid of the interval, and at the window's end. */
export const every = (interval: Duration.Input): Trigger =>
  core.continuous(milliseconds("the interval of a trigger", interval, 1))

/** How often: each time that so many records have come, or that event time has gone on by so much. */
export type Pace = { readonly records: number } | { readonly every: Duration.Input }

/** When a window gives out what it holds, beside its end. */
export interface Paces {
  /** Before the window's end: what there is so far, if something is new. Default: nothing. */
  readonly early?: Pace
  /** Behind it: what late records have changed, and what is left of that when the window goes. Default: each at once. */
  readonly late?: Pace
}

/**
 * At the window's end, and before and behind it at a pace. Each result holds all that has come: later ones stand in the
 * place of earlier ones, by key and window. With `purging` each holds only what is new.
 *
 * ```ts
 * import { Trigger } from "headrace"
 *
 * Trigger.paced({ early: { every: "1 minute" }, late: { records: 10 } }).name // => "event time, early every 60000 ms, late every 10 events"
 * ```
 */
export const paced = ({ early, late }: Paces): Trigger =>
  core.paced({
    ...(early !== undefined && { early: paceOf("early", early) }),
    ...(late !== undefined && { late: paceOf("late", late) })
  })

/** At the window's end, before it at a pace, and for each late record. See `paced`. */
export const early = (pace: Pace): Trigger => paced({ early: pace })

/** At the window's end, and behind it at a pace. See `paced`. */
export const late = (pace: Pace): Trigger => paced({ late: pace })

const paceOf = (when: string, pace: Pace): core.Pace => {
  if ("every" in pace) return { everyMs: milliseconds(`the interval of ${when} results`, pace.every, 1) }
  check(
    Number.isSafeInteger(pace.records) && pace.records > 0,
    () => `${when} results come every ${pace.records} records: make it 1 or more`
  )
  return { events: pace.records }
}

/** Forgets the contents whenever they are given out: each result holds only what came since the last one. */
export const purging = <A>(trigger: Trigger<A>): Trigger<A> => core.purging(trigger)
