import type { Input } from "@headrace/core"

/** Where records leave a stage: what flows in goes to the partition of its key, event time to all partitions. */
export interface Crossing extends Input {
  /** Nothing comes for the time being: the next stage is not to wait. Ends by itself with the next record or watermark. */
  readonly rest: () => void
  /** Tells the next stage where event time stands. Called once a transaction, before it is sealed. */
  readonly settle: () => void
}
