import type { Place } from "../ports/log.ts"
import type { Outputs } from "../task/outputs.ts"
import type { Turn } from "./events.ts"

/**
 * Where a transaction stands. `open`: outputs are still added. After that it is sealed: its outputs, offsets and state
 * deltas are fixed, and it goes through the stages in order.
 */
export type Stage = "open" | "producing" | "flushing" | "sendingOffsets" | "committing"

/**
 * One transaction of a lane, as data. What it holds is kept until it is committed, so that it can be sent once more; of
 * one that grows beyond `mostKept` bytes what was sent is let go, and after a failure its state comes back from the log.
 */
export class Transaction {
  readonly turn: Turn
  stage: Stage = "open"
  /** A call of its producer is under way: there is never more than one. */
  calling = false
  /** In ms; -1 before. From then on the transaction time-out runs. */
  begunAt = -1
  offsets: readonly Place[] = []
  /** When the first record or output came in, in ms; -1 while it is empty. */
  since = -1
  sealedAt = 0
  /** Handed to the producer. */
  records = 0
  private readonly mostKept: number
  /** Filled buffers in order: first those that the producer has, then those that it has not. */
  private outputs: Outputs[] = []
  private sent = 0
  private keptBytes = 0
  private whole = true

  constructor(turn: Turn, mostKept: number) {
    this.turn = turn
    this.mostKept = mostKept
  }

  get sealed(): boolean {
    return this.stage !== "open"
  }
  /** All that it produced is acknowledged: the other producer may produce without breaking the order within a key. */
  get flushed(): boolean {
    return this.stage === "sendingOffsets" || this.stage === "committing"
  }
  /** All that it holds is still here. */
  get repeatable(): boolean {
    return this.whole
  }
  /** What the producer gets next. */
  get next(): Outputs | undefined {
    return this.outputs[this.sent]
  }
  /** Not handed to the producer yet. */
  get bufferedBytes(): number {
    let bytes = 0
    for (let i = this.sent; i < this.outputs.length; i++) bytes += this.outputs[i]!.size
    return bytes
  }

  add(outputs: Outputs): void {
    this.outputs.push(outputs)
  }

  /** The producer has copied what it got last; answers with buffers that are of no more use here. */
  produced(): readonly Outputs[] {
    const outputs = this.outputs[this.sent]
    if (outputs === undefined) return []
    this.sent++
    this.records += outputs.count
    this.keptBytes += outputs.size
    this.whole &&= this.keptBytes <= this.mostKept
    if (this.whole) return []
    const freed = this.outputs.splice(0, this.sent)
    this.sent = 0
    return freed
  }

  /** All buffers, once it is committed. */
  end(): readonly Outputs[] {
    return this.outputs.splice(0)
  }

  /** Back to its beginning, in another session of its producer: the same bytes, offsets and deltas are sent once more. */
  repeat(): void {
    this.stage = this.sealed ? "producing" : "open"
    this.calling = false
    this.begunAt = -1
    this.sent = this.records = this.keptBytes = 0
  }
}
