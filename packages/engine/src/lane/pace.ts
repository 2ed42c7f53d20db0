/** Between two commits of a lane that is far behind. */
const CATCH_UP_MS = 250
/** Full polls in a row after which the interval is that long. */
const FULL_POLLS = 16

export interface PaceOptions {
  /** The least time between two commits. */
  readonly intervalMs: number
  /** The most transaction markers that the brokers are to write for this lane in a second. */
  readonly markersPerSecond: number
  /** Partitions that any transaction may touch, whatever the lane has: those of the sinks, and the group's offsets. */
  readonly sinkPartitions: number
}

/**
 * When a transaction is due. A commit costs the same whatever it holds, and its state delta costs by the distinct keys
 * that it touched: a lane that is behind (its polls come back full) commits less often, since its records are late by
 * more than that anyway. The first poll that is not full brings the interval back.
 *
 * The brokers pay for a commit by the partition: each that it touched gets a marker. So the interval is never shorter
 * than what the lane's partitions and those of its sinks allow (rule 7).
 */
export class Pace {
  private readonly options: PaceOptions
  private full = 0
  private leastMs: number

  constructor(options: PaceOptions) {
    this.options = options
    this.leastMs = options.intervalMs
  }

  /** Called for each poll: it asked for so many records at most. `partitions`: how many the lane has, each with a changelog. */
  polled(records: number, asked: number, partitions: number): void {
    const { intervalMs, markersPerSecond, sinkPartitions } = this.options
    this.full = records >= asked ? Math.min(FULL_POLLS, this.full + 1) : 0
    this.leastMs = Math.max(intervalMs, ((partitions + sinkPartitions) * 1000) / markersPerSecond)
  }

  /** When a transaction is to be committed that got its first record at `since`, in ms. */
  dueAt(since: number): number {
    const longest = Math.max(CATCH_UP_MS, this.leastMs)
    return since + this.leastMs + ((longest - this.leastMs) * this.full) / FULL_POLLS
  }
}
