import type { LogFailure } from "@headrace/engine"
import type { LogRecord, Partition } from "./log.ts"

/** One session of a transactional id, between two initialisations. */
export class Session {
  readonly epoch: number
  readonly queue = new Map<Partition, LogRecord[]>()
  began = false
  /** The broker heard of the transaction. */
  added = false
  failure: LogFailure | undefined
  poisoned = false
  closed = false

  constructor(epoch: number) {
    this.epoch = epoch
  }
  get empty(): boolean {
    return this.queue.size === 0
  }
}
