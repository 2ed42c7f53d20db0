import type { Duration } from "effect"
import { milliseconds, plainName } from "./check.ts"
import { check } from "./error.ts"

/** How event time is cut into windows. */
export interface Tumbling {
  readonly kind: "tumbling"
  readonly sizeMs: number
  readonly offsetMs: number
  readonly allowedLatenessMs: number
  readonly id: string | undefined
}

export interface TumblingOptions {
  /** Shifts every window's start, for days that begin elsewhere than in UTC. Less than the size. Default: 0. */
  readonly offset?: Duration.Input
  /** How long a window that has fired takes further records and fires again. Default: 0. */
  readonly allowedLateness?: Duration.Input
  /** Its state is found by it. Default: `window:<topic>/<key field>/<size>`. */
  readonly id?: string
}

/**
 * Windows of one size, side by side: `[start, start + size)`, starts being multiples of the size plus the offset.
 *
 * ```ts
 * import { Window } from "headrace"
 *
 * Window.tumbling("10 seconds").sizeMs // => 10000
 * ```
 */
export const tumbling = (size: Duration.Input, options: TumblingOptions = {}): Tumbling => {
  const sizeMs = milliseconds("the size of a tumbling window", size, 1)
  const offsetMs = milliseconds("the offset of a tumbling window", options.offset ?? 0, 0)
  check(offsetMs < sizeMs, () => `a window of ${sizeMs} ms has an offset of ${offsetMs} ms: make it less than the size`)
  return {
    kind: "tumbling",
    sizeMs,
    offsetMs,
    allowedLatenessMs: milliseconds("allowedLateness of a tumbling window", options.allowedLateness ?? 0, 0),
    id: options.id === undefined ? undefined : plainName("an id", options.id)
  }
}
