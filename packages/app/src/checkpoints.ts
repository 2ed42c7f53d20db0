/** Rounds in a row that may fail, or not end, before it is said where health is asked for. */
const OVERDUE = 3

/** How the rounds of checkpoints of this process fare: what the supervisor tells, for health and metrics. */
export class Checkpoints {
  completed = 0
  failed = 0
  /** Of the last round that was completed, in ms; NaN before. */
  tookMs = Number.NaN
  private readonly intervalMs: number
  /** The end of the last round that was completed; before, when the first one became due in an interval's time. */
  private since: number
  private failure: string | undefined
  /** Its thread hangs, with the reason. */
  private hangs: string | undefined

  constructor(intervalMs: number, now: number) {
    this.intervalMs = intervalMs
    this.since = now
  }

  succeeded(tookMs: number, now: number): void {
    this.completed++
    this.tookMs = tookMs
    this.since = now
    this.failure = undefined
  }

  failedWith(reason: string): void {
    this.failed++
    this.failure = reason
  }

  /** Its thread stands still for this reason; without one it gets on again. */
  stall(reason: string | undefined): void {
    this.hangs = reason
  }

  /** Since a round was completed, or since the first one has been waited for. */
  ageMs(now: number): number {
    return now - this.since
  }

  /**
   * What is to be known of them; undefined while all is well. Nothing of it keeps the job from processing: a restore takes
   * longer, and the changelog takes more room.
   */
  warning(now: number): string | undefined {
    const age = this.ageMs(now)
    if (this.hangs === undefined && age < OVERDUE * this.intervalMs) return undefined
    const why = [this.hangs, this.failure && `the last round failed: ${this.failure}`].filter(one => one !== undefined)
    const overdue = `no round was completed for ${Math.round(age / 1000)} s (checkpoint.interval is ${this.intervalMs / 1000} s)`
    return `checkpoints: ${[overdue, ...why].join("; ")}`
  }
}
