import type { Place } from "../ports/log.ts"
import { ChangelogWriter } from "../recovery/changelog.ts"
import type { Commits } from "./commits.ts"
import type { Command } from "./events.ts"
import type { LaneOptions } from "./options.ts"
import type { Tasks } from "./tasks.ts"

const POLL_TIMEOUT_MS = 50
/** The same while results of windows wait to be emitted. */
const FIRING_POLL_TIMEOUT_MS = 5
const REPORT_INTERVAL_MS = 500

/**
 * When the open transaction closes, and with what: by time, or because no more goes in. What is full keeps the lane from polling
 * until it has.
 */
export class Sealing {
  private readonly options: LaneOptions
  private readonly commits: Commits
  private readonly tasks: Tasks
  private readonly changelog: ChangelogWriter
  private reportedAt = Number.NEGATIVE_INFINITY

  constructor(options: LaneOptions, commits: Commits, tasks: Tasks) {
    this.options = options
    this.commits = commits
    this.tasks = tasks
    this.changelog = new ChangelogWriter(options.transactionalIds)
  }

  /** `settling`: what is open has to be committed now, whether it is due or not. */
  isDue(settling: boolean, now: number): boolean {
    if (!this.commits.sealable) return false
    return (settling || this.commitDue(now)) && this.tasks.closable
  }

  /**
   * Each partition that the transaction touches gets an offset, also an unchanged one, and a changelog record, also an
   * empty one (rules 2 and 3).
   */
  seal(now: number): void {
    const { commits, tasks } = this
    const { alignment, changelogTopic, metrics } = this.options
    const offsets: Place[] = []
    for (const task of tasks.all()) {
      if (!task.touched()) continue
      const offset = task.committable()
      this.changelog.write(task, offset, commits.outputs, changelogTopic(task.topic))
      const metadata = alignment.beside(task)
      offsets.push({ topic: task.topic, partition: task.partition, offset, ...(metadata && { metadata }) })
    }
    tasks.sealed()
    commits.seal(offsets, now)
    if (now - this.reportedAt < REPORT_INTERVAL_MS) return
    this.reportedAt = now
    tasks.report(metrics)
  }

  /**
   * The open transaction begins early, so that the broker works while it fills; not where an asynchronous step may keep
   * it from closing, for longer perhaps than the transaction time-out: then it begins when it is sealed.
   */
  drive(now: number): readonly Command[] {
    return this.commits.drive(!this.tasks.mayWait, now)
  }

  /** No more is to be read for now. */
  congested(now: number): boolean {
    const { commits, tasks } = this
    const { maxInFlight, metrics } = this.options
    metrics.set("bufferedBytes", commits.bufferedBytes)
    if (this.full || (tasks.overfull && commits.openSince >= 0)) return true
    // What is in asynchronous steps has to come out before the transaction can close: no more goes in.
    if (this.commitDue(now) && !tasks.closable) return true
    return tasks.inFlight > maxInFlight
  }

  /** Until the open transaction is due; while another one commits, its end wakes the lane. */
  pollTimeout(now: number): number {
    const { openSince, committing } = this.commits
    const longest = this.tasks.firing ? FIRING_POLL_TIMEOUT_MS : POLL_TIMEOUT_MS
    if (openSince < 0 || committing) return longest
    return Math.max(1, Math.min(longest, this.options.pace.dueAt(openSince) - now))
  }

  /**
   * By time; or because the buffers or the memory for state are full, and nothing leaves them before the transaction is
   * sealed: then no poll is under way that would end in time to wake the lane.
   */
  private commitDue(now: number): boolean {
    const { openSince } = this.commits
    if (openSince < 0) return false
    if (this.tasks.overfull || (this.full && this.tasks.mayWait)) return true
    return now >= this.options.pace.dueAt(openSince)
  }

  private get full(): boolean {
    return this.commits.bufferedBytes > this.options.maxBufferedBytes
  }
}
