/** Between two commits of a lane that is far behind. */
const CATCH_UP_MS = 250
/** Full polls in a row after which the interval is that long. */
const FULL_POLLS = 16

/**
 * When a transaction is due. A commit costs the same whatever it holds, and its state delta costs by the distinct keys
 * that it touched: a lane that is behind (its polls come back full) commits less often, since its records are late by
 * more than that anyway. The first poll that is not full brings the configured interval back.
 */
export class Pace {
  private readonly intervalMs: number
  private readonly fullPoll: number
  private full = 0

  /** `intervalMs`: the configured least time between two commits. `fullPoll`: the records of a full poll. */
  constructor(intervalMs: number, fullPoll: number) {
    this.intervalMs = intervalMs
    this.fullPoll = fullPoll
  }

  /** Called for each poll. */
  polled(records: number): void {
    this.full = records >= this.fullPoll ? Math.min(FULL_POLLS, this.full + 1) : 0
  }

  /** When a transaction is to be committed that got its first record at `since`, in ms. */
  dueAt(since: number): number {
    const longest = Math.max(CATCH_UP_MS, this.intervalMs)
    return since + this.intervalMs + ((longest - this.intervalMs) * this.full) / FULL_POLLS
  }
}
