import type { StoredCodec } from "../../codec.ts"
import { type Key, type Keyed, readKey } from "../../key.ts"
import { type Input, NO_WATERMARK } from "../../operator.ts"

/** One of two inputs. */
export type Side = "left" | "right"

/** One of the two streams that come together, keyed by the same. */
export interface JoinSide {
  readonly key: Keyed
  /** How its records are kept. */
  readonly codec: StoredCodec
  /** Where its late events go; without it they are dropped and counted. */
  readonly late?: Input | undefined
}

/** What two streams flow into. */
export interface TwoInputs {
  readonly left: Input
  readonly right: Input
}

/** What an operator of two inputs does with what comes: called for each record, and for each watermark of both. */
export interface Arrivals {
  readonly take: (side: Side, key: Key, record: object, timestamp: number) => void
  /** Of both: the least. Monotonous. */
  readonly advance: (watermark: number) => void
}

/**
 * The inputs of an operator that has two. Its watermark is the least of theirs; how far each has come is theirs to say
 * again after a restore. None holds the other up: one that has ended is at the end of time, an idle one where the other is.
 */
export const twoInputs = (left: JoinSide, right: JoinSide, arrivals: Arrivals): TwoInputs => {
  const times: Record<Side, number> = { left: NO_WATERMARK, right: NO_WATERMARK }
  const face = (side: Side, { key, late }: JoinSide): Input => ({
    next: (record, timestamp) =>
      arrivals.take(side, readKey(key.bytes, key.start, key.end, key.kind), record, timestamp),
    watermark: watermark => {
      late?.watermark(watermark)
      if (watermark <= times[side]) return
      times[side] = watermark
      const least = Math.min(times.left, times.right)
      if (least > NO_WATERMARK) arrivals.advance(least)
    }
  })
  return { left: face("left", left), right: face("right", right) }
}
