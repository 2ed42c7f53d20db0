import * as core from "@headrace/core"
import type { Duration } from "effect"
import { milliseconds } from "./check.ts"
import { check } from "./error.ts"

/** When a window gives out its contents. One of your own is an object with the functions of this interface. */
export type Trigger = core.Trigger

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

/** Forgets the contents whenever they are given out: each result holds only what came since the last one. */
export const purging = (trigger: Trigger): Trigger => core.purging(trigger)
