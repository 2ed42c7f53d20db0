import type { Input } from "@headrace/core"
import type { Timed } from "./operators.ts"

/**
 * Where records leave a stage: what flows in goes to the partition of its key, event time to all partitions.
 * `pending`: the next stage has not heard of event time for a while, and a transaction is to be made to tell it.
 */
export interface Crossing extends Input, Timed {
  /**
   * Nothing comes for the time being: the next stage is not to wait. Ends by itself with the next record or watermark, and is
   * said again before each `settle` for as long as it is so.
   */
  readonly rest: () => void
  /** Nothing crosses any more before the job goes on from the halt of this number: the next stage need not wait. */
  readonly halt: (number: number) => void
  /** Tells the next stage where event time stands. Called once a transaction, before it is sealed. */
  readonly settle: () => void
}
