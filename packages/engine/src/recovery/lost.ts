import { Effect } from "effect"
import { nowMs } from "../clock.ts"
import type { LostOffsets } from "../job.ts"
import type { LaneMetrics } from "../metrics.ts"
import { persistently } from "../patience.ts"
import { LogError, type Source, type TopicPartition } from "../ports/log.ts"

export interface LostOptions {
  readonly source: Source
  readonly lost: LostOffsets
  readonly metrics: LaneMetrics
  /** How long an end of the log that is before the committed offset may pass: a new leader learns of its own late. ms */
  readonly patienceMs: number
}

export interface Range {
  readonly start: number
  readonly end: number
}

/** What is in the log; asked for until somebody answers. */
export const rangeOf = (source: Source, partition: TopicPartition): Effect.Effect<Range, LogError> =>
  persistently(source.range(partition))

/**
 * Where to go on: at the committed offset, or where the job's policy says, if the log does not have it any more. `found`:
 * what was in the log a moment ago.
 */
export const standing = (
  options: LostOptions,
  partition: TopicPartition,
  committed: number,
  found: Range
): Effect.Effect<number, LogError> =>
  Effect.gen(function* () {
    const deadline = (yield* nowMs) + options.patienceMs
    let range = found
    while (committed > range.end && (yield* nowMs) < deadline) {
      yield* Effect.sleep("100 millis")
      range = yield* rangeOf(options.source, partition)
    }
    if (committed > range.end) return yield* Effect.fail(beyond(partition, committed, range))
    if (committed >= range.start) return committed
    if (options.lost === "stop") return yield* Effect.fail(gone(partition, committed, range))
    const next = options.lost === "earliest" ? range.start : range.end
    options.metrics.add("lostOffsets", next - committed)
    yield* Effect.logError(
      `${removed(partition, committed, range)} By offsets.lost: ${options.lost} it goes on at ${next}.`
    )
    return next
  })

const removed = ({ topic, partition }: TopicPartition, committed: number, { start }: Range): string =>
  `Offsets ${committed} to ${start - 1} of ${topic}/${partition} were removed from the log (retention) before they were processed.`

const gone = (partition: TopicPartition, committed: number, range: Range): LogError =>
  new LogError(
    "Stop",
    `${removed(partition, committed, range)} To go on without them, set offsets.lost to earliest (from ${range.start}) ` +
      `or latest (from ${range.end}); lengthen the topic's retention.`
  )

/** Never by policy: what was processed already may come again under other offsets. */
const beyond = ({ topic, partition }: TopicPartition, committed: number, { end }: Range): LogError =>
  new LogError(
    "Stop",
    `The group committed offset ${committed} of ${topic}/${partition}, but the log ends at ${end}: the topic was made anew, or lost its end. ` +
      "Reset the job by deleting the changelog topic, the checkpoints and the group's offsets, or give it another name (--app)."
  )
