import { Effect } from "effect"
import { nowMs } from "../clock.ts"
import type { LaneMetrics } from "../metrics.ts"
import type { TopicPartition } from "../ports/log.ts"

/** At most one line in this time says how far a restore is. */
const LINE_EVERY_MS = 2_000
/** What a changelog record is taken for while none was read. */
const RECORD_BYTES = 4_096
const MOST_PERCENT = 99

/** How far the restore of one partition is. */
export interface PartitionProgress {
  /** Its turn has come. */
  readonly begin: () => void
  /** It has to begin again, and waits for that: nothing is put back, and nothing is known of what there is. */
  readonly wait: () => void
  /**
   * A checkpoint of so many bytes is put back now, behind which the changelog goes on at `since`. What was put back of another
   * one counts no more.
   */
  readonly checkpoint: (bytes: number, since: number) => void
  /** Where the end of what was written to the changelog is, which is known before anything is read of it. */
  readonly written: (end: number) => void
  /** The changelog is read now: from the offset where the checkpoint ends, to the end of what was written. */
  readonly changelog: (from: number, end: number) => void
  /** So many bytes were put back; of the changelog with the offset to read on from. */
  readonly put: (bytes: number, next?: number) => void
  /** Between two stretches of work: lets others run, and says how far all is where it is time for that. */
  readonly breathe: Effect.Effect<void>
}

/** Bytes that are done, and what is still to come. */
interface Part {
  readonly partition: TopicPartition | undefined
  /** Grows with whatever has come of it. */
  steps: number
  done: number
  checkpointBytes: number
  /** Of the changelog: where to read on, and the end of what was written. Undefined while that is not known. */
  next: number | undefined
  end: number | undefined
}
const UNKNOWN: Omit<Part, "partition" | "steps"> = { done: 0, checkpointBytes: 0, next: undefined, end: undefined }

/**
 * How far a lane is with the partitions that it has to restore, also with those that wait for their turn: gauges while it does,
 * and a line every few seconds. What is still to come of the changelogs is known in offsets only; it is estimated by the
 * records so far. One of which nothing is known yet is taken for one like the others.
 */
export class RestoreProgress {
  private readonly metrics: LaneMetrics
  private readonly parts = new Set<Part>()
  private since = 0
  private lastLine = 0
  /** Of partitions that are done, while others are not. */
  private readonly finished = { parts: 0, bytes: 0 }
  private readonly records = { bytes: 0, offsets: 0 }

  constructor(metrics: LaneMetrics) {
    this.metrics = metrics
  }

  /**
   * Runs the restore of a partition, and counts it for as long as it takes, with what it waits for. One that is not named is not
   * `under` way.
   */
  during<A, E, R>(
    restore: (progress: PartitionProgress) => Effect.Effect<A, E, R>,
    partition?: TopicPartition
  ): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.map(nowMs, now => this.begin(now, partition)),
      part => restore(this.progressOf(part)),
      part => Effect.map(nowMs, now => this.end(part, now))
    )
  }

  /** Where restores are whose turn has come: `at` grows while one gets on. */
  get under(): readonly (TopicPartition & { readonly at: number })[] {
    return [...this.parts].flatMap(({ partition, steps }) =>
      partition === undefined || steps === 0 ? [] : [{ ...place(partition), at: steps }]
    )
  }

  private begin(now: number, partition: TopicPartition | undefined): Part {
    if (this.parts.size === 0) {
      this.since = now
      this.lastLine = now
      this.finished.parts = this.finished.bytes = 0
    }
    const part: Part = { partition, steps: 0, ...UNKNOWN }
    this.parts.add(part)
    return part
  }

  private end(part: Part, now: number): void {
    this.finished.parts++
    this.finished.bytes += part.done
    this.parts.delete(part)
    this.show(now)
  }

  private progressOf(part: Part): PartitionProgress {
    return {
      begin: () => {
        part.steps++
      },
      wait: () => void Object.assign(part, UNKNOWN, { steps: 0 }),
      checkpoint: (bytes, since) => {
        part.steps++
        part.done = 0
        part.checkpointBytes = bytes
        part.next = since
      },
      written: end => {
        part.end = end
      },
      changelog: (from, end) => {
        part.steps++
        part.checkpointBytes = 0
        part.next = Math.max(from, part.next ?? from)
        part.end = end
      },
      put: (bytes, next) => {
        part.steps++
        part.done += bytes
        if (next === undefined) part.checkpointBytes = Math.max(0, part.checkpointBytes - bytes)
        else this.record(part, bytes, next)
      },
      breathe: Effect.andThen(
        Effect.flatMap(nowMs, now => this.reportAt(now)),
        Effect.yieldNow
      )
    }
  }

  private record(part: Part, bytes: number, next: number): void {
    this.records.bytes += bytes
    this.records.offsets += Math.max(0, next - (part.next ?? next))
    part.next = next
  }

  private reportAt(now: number): Effect.Effect<void> {
    const { done, total, rate, seconds } = this.show(now)
    if (now - this.lastLine < LINE_EVERY_MS) return Effect.void
    this.lastLine = now
    // Something remains while this is said, whatever was known of it.
    const percent = Math.min(MOST_PERCENT, Math.floor((100 * done) / Math.max(1, total)))
    const left = rate === 0 ? "" : `, ${Math.max(1, Math.ceil(seconds))} s left`
    return Effect.logInfo(
      `restoring ${this.parts.size} ${this.parts.size === 1 ? "partition" : "partitions"}: ${percent} % of ${megabytes(total)} MB, ${megabytes(rate)} MB/s${left}`
    )
  }

  private show(now: number) {
    const { done, left } = this.sum()
    const rate = (done * 1000) / Math.max(1, now - this.since)
    const restoring = this.parts.size > 0
    this.metrics.set("restoringBytes", restoring ? done : 0)
    this.metrics.set("restoringTotalBytes", restoring ? done + left : 0)
    this.metrics.set("restoringMs", restoring ? now - this.since : 0)
    return { done, total: done + left, rate, seconds: rate > 0 ? left / rate : 0 }
  }

  private sum(): { readonly done: number; readonly left: number } {
    const { finished, records } = this
    const each = records.offsets === 0 ? RECORD_BYTES : records.bytes / records.offsets
    let done = finished.bytes
    let left = 0
    let known = finished.parts
    const unknown: Part[] = []
    for (const part of this.parts) {
      const { next, end } = part
      done += part.done
      left += part.checkpointBytes
      if (next === undefined || end === undefined) unknown.push(part)
      else {
        known++
        left += Math.max(0, end - next) * each
      }
    }
    const some = unknown.reduce((sum, part) => sum + part.done + part.checkpointBytes, 0)
    const mean = known === 0 ? 0 : (done + left - some) / known
    for (const part of unknown) left += Math.max(0, mean - part.done - part.checkpointBytes)
    return { done, left }
  }
}

const place = ({ topic, partition }: TopicPartition): TopicPartition => ({ topic, partition })

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)
