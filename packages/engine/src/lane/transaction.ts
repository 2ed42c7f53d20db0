import type { Position } from "../ports/log.ts"
import type { Outputs } from "../task/outputs.ts"
import type { Turn } from "./events.ts"

/**
 * Where a transaction stands. `open`: outputs are still added. After that it is sealed: its outputs, offsets and state
 * deltas are fixed, and it goes through the stages in order.
 */
export type Stage = "open" | "producing" | "flushing" | "sendingOffsets" | "committing"

/** One transaction of a lane, as data. */
export class Transaction {
  readonly turn: Turn
  stage: Stage = "open"
  /** A call of its producer is under way: there is never more than one. */
  calling = false
  /** In ms; -1 before. From then on the transaction time-out runs. */
  begunAt = -1
  /** Filled buffers not yet handed to the producer, in order. */
  readonly pending: Outputs[] = []
  offsets: readonly Position[] = []
  /** When the first record or output came in, in ms; -1 while it is empty. */
  since = -1
  sealedAt = 0

  constructor(turn: Turn) {
    this.turn = turn
  }

  get sealed(): boolean {
    return this.stage !== "open"
  }
  /** All that it produced is acknowledged: the other producer may produce without breaking the order within a key. */
  get flushed(): boolean {
    return this.stage === "sendingOffsets" || this.stage === "committing"
  }
  get bufferedBytes(): number {
    let bytes = 0
    for (const outputs of this.pending) bytes += outputs.size
    return bytes
  }
}
