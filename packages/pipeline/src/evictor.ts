import * as core from "@headrace/core"
import type { Duration } from "effect"
import { milliseconds } from "./check.ts"
import { check } from "./error.ts"

/** What a window keeps before it gives out its contents. One of your own is an object with the functions of this interface. */
export type Evictor = core.Evictor

/**
 * Keeps the last so many that came.
 *
 * ```ts
 * import { Evictor } from "headrace"
 *
 * Evictor.last(10).name // => "the last 10"
 * ```
 */
export const last = (records: number): Evictor => {
  check(Number.isSafeInteger(records) && records > 0, () => `an evictor keeps the last ${records}: make it 1 or more`)
  return core.last(records)
}

/** Keeps what is less than so much older than the newest record of the window, by event time. */
export const within = (duration: Duration.Input): Evictor =>
  core.within(milliseconds("the duration of an evictor", duration, 1))
