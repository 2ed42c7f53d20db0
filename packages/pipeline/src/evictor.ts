import * as core from "@headrace/core"
import type { Duration } from "effect"
import { milliseconds } from "./check.ts"
import { check } from "./error.ts"

/**
 * What a window of records A keeps before it gives out its contents. One of your own that goes by the order and the times of
 * records is an object with the functions of this interface; one that looks at them is made by `ofRecords`.
 */
export interface Evictor<in A = unknown> extends core.Evictor {
  readonly "~records"?: ((record: A) => void) | undefined
}

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

/** A record of a window, as an evictor sees it. */
export interface Element<out A> {
  /** Its event time in ms. */
  readonly timestamp: number
  readonly record: A
}

/**
 * One of your own that looks at the records: the window then keeps them whole, by their schema. `keep` says which of them stay;
 * it is called once for each firing, on plain objects in the order of their arrival.
 *
 * ```ts
 * import { Evictor } from "headrace"
 *
 * const dearest = Evictor.ofRecords("the dearest", (all: readonly Evictor.Element<{ cents: number }>[]) =>
 *   all.filter(one => all.every(other => other.record.cents <= one.record.cents))
 * )
 * dearest.name // => "the dearest"
 * ```
 */
export const ofRecords = <A extends object>(
  name: string,
  keep: (elements: readonly Element<A>[]) => readonly Element<A>[]
): Evictor<A> => ({ name, ofRecords: true, keep: keep as unknown as core.Evictor["keep"] })
