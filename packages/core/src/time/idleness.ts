/**
 * Whether a partition has gone quiet, by a clock that the caller reads: like Flink's `WatermarksWithIdleness`, it
 * takes two looks without an event in between, the second more than the time-out after the first.
 */
export class Idleness {
  private readonly timeoutMs: number
  private events = false
  /** When a look first found nothing new, in ms of the caller's clock. */
  private quietSince: number | undefined

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs
  }

  /** Called for each event. */
  observe(): void {
    this.events = true
  }

  /** Looks, at time `now`, and says whether the partition is idle. */
  look(now: number): boolean {
    if (this.events) {
      this.events = false
      this.quietSince = undefined
      return false
    }
    this.quietSince ??= now
    return now - this.quietSince > this.timeoutMs
  }
}
