import { Effect, Stream } from "effect"
import { nowMs } from "../clock.ts"
import type { BlobError, Blobs } from "../ports/blobs.ts"
import { type ChangelogReader, LogError, type Position, type TopicPartition } from "../ports/log.ts"
import type { Task } from "../task/task.ts"
import { gapError, isGap, readHeader } from "./changelog.ts"
import { type Checkpoint, type EntryBlock, fromNewest, storeError } from "./checkpoint.ts"
import type { CheckpointHeader } from "./checkpoint-file.ts"
import { type LostOptions, rangeOf, standing } from "./lost.ts"
import type { PartitionProgress, RestoreProgress } from "./progress.ts"

export interface RestoreOptions extends LostOptions {
  readonly app: string
  readonly changelog: ChangelogReader
  readonly changelogTopic: (source: string) => string
  /** Of all tasks that the lane restores. */
  readonly progress: RestoreProgress
  /**
   * How long the changelog may lag behind the committed offsets before that counts as damage: EndTxn is answered before
   * its markers are written. Longer than the transaction time-out. ms
   */
  readonly patienceMs: number
}

/** Where a task goes on. `committed`: what its changelog stands for; before the offset where records were lost. */
export interface Restored extends Position {
  readonly committed: number
}

/** One task's restore. */
interface Restoring extends RestoreOptions {
  readonly task: Task
  readonly log: TopicPartition
  readonly part: PartitionProgress
}

/** Brings a task's state back, and answers with the source position to go on from. Lets others run in between. */
export const restoreTask = (options: RestoreOptions, task: Task): Effect.Effect<Restored, LogError, Blobs> => {
  const log = { topic: options.changelogTopic(task.topic), partition: task.partition }
  return options.progress
    .during(part => restored({ ...options, task, log, part }))
    .pipe(Effect.catchTag("BlobError", error => Effect.fail(storeError(error, "Stop"))))
}

const restored = (restoring: Restoring): Effect.Effect<Restored, LogError | BlobError, Blobs> =>
  Effect.gen(function* () {
    const { source, task } = restoring
    const [committed] = yield* source.committed([task])
    const checkpoint = yield* fromNewest(restoring.app, task, newest => putBack(restoring, newest))
    const reached = yield* follow(restoring, checkpoint, committed)
    const { topic, partition } = task
    if (reached !== undefined)
      return { topic, partition, offset: yield* standing(restoring, task, reached), committed: reached }
    // Nothing was ever committed for the partition: it starts at the beginning of its topic.
    const { start } = yield* rangeOf(source, task)
    return { topic, partition, offset: start, committed: start }
  })

/** All entries of a checkpoint, or none: a damaged one leaves nothing behind. */
const putBack = ({ task, metrics, part }: Restoring, checkpoint: Checkpoint | undefined) => {
  if (checkpoint === undefined) return Effect.succeed(undefined)
  part.checkpoint(checkpoint.bytes)
  const entries = (block: EntryBlock) =>
    Effect.sync(() => {
      for (const [key, value] of block) {
        task.restore(key, value)
        metrics.add("restored", 1)
      }
      part.put(block.bytes)
    })
  return Stream.runForEach(checkpoint.blocks, block => Effect.andThen(entries(block), part.breathe)).pipe(
    Effect.as<CheckpointHeader>(checkpoint),
    Effect.tapError(() => Effect.sync(() => task.reset()))
  )
}

/**
 * Reads the changelog until it stands for the same source offset as the group's committed one (Assignment, 2). Equal
 * offsets are not enough: a transaction in which only time passed moves none, and its end is answered before its markers
 * are written. So everything that was written when the committed offset was known has to be decided.
 */
const follow = (
  { changelog, log, task, metrics, part, ...options }: Restoring,
  checkpoint: CheckpointHeader | undefined,
  stable: number | undefined
): Effect.Effect<number | undefined, LogError | BlobError, Blobs> =>
  Effect.gen(function* () {
    let committed = stable
    let written = yield* changelog.written(log)
    let reached = checkpoint?.sourceOffset
    let next: number | "beginning" = checkpoint?.changelogOffset ?? "beginning"
    let lost: LogError | undefined
    const deadline = (yield* nowMs) + options.patienceMs
    for (;;) {
      part.changelog(checkpoint?.changelogOffset ?? 0, written)
      const range: { start: number; end: number } = yield* changelog.read(
        log,
        next,
        (offset, bytes, start, end) => {
          const header = readHeader(bytes, start, end)
          if (isGap(header, reached)) lost ??= gapError(log, offset, header.from, reached)
          metrics.add("restored", 1)
          task.apply(bytes.subarray(header.changes, end))
          part.put(end - start, offset + 1)
          reached = header.to
          return true
        },
        part.breathe
      )
      if (range.start > (next === "beginning" ? 0 : next))
        return yield* trimmed(options.app, task, log, range.start, next)
      if (lost !== undefined) return yield* Effect.fail(lost)
      next = range.end
      if (reached === committed && next >= written) return reached
      if ((yield* nowMs) > deadline)
        return yield* reached === committed ? undecided(log, next, written) : disagree(task, log, reached, committed)
      yield* Effect.sleep("20 millis")
      // A predecessor's transaction may have ended in between: ask again, not only read on.
      committed = (yield* options.source.committed([task]))[0]
      written = yield* changelog.written(log)
    }
  })

/** Rounds of checkpoints may have trimmed the changelog since the checkpoints were looked at: that is no loss. */
const trimmed = (
  app: string,
  task: TopicPartition,
  log: TopicPartition,
  start: number,
  next: number | "beginning"
): Effect.Effect<never, LogError | BlobError, Blobs> =>
  Effect.gen(function* () {
    const newest = yield* fromNewest(app, task, checkpoint => Effect.succeed(checkpoint?.changelogOffset))
    const where = `The changelog ${log.topic}/${log.partition} begins at ${start}`
    if (newest !== undefined && newest >= start)
      return yield* Effect.fail(
        new LogError("Retry", `${where}: newer checkpoints were written while it was restored from, so it begins again`)
      )
    const usable =
      next === "beginning" ? "there is no usable checkpoint" : `the newest usable checkpoint ends at ${next}`
    return yield* Effect.fail(
      stop(
        `${where}, but ${usable}: ` +
          "state in between is lost. Restore the checkpoints, or reset the job by deleting the changelog topic and the group's offsets."
      )
    )
  })

const undecided = (log: TopicPartition, stable: number, written: number) =>
  Effect.fail(
    stop(
      `The changelog ${log.topic}/${log.partition} is written up to ${written}, but decided only up to ${stable}: a transaction hangs there, longer than any may. ` +
        "Find it with kafka-transactions.sh --describe-producers, and end it with --abort."
    )
  )

const disagree = (
  task: TopicPartition,
  log: TopicPartition,
  reached: number | undefined,
  committed: number | undefined
) =>
  Effect.fail(
    stop(
      `The changelog ${log.topic}/${log.partition} stands for offset ${reached ?? "none"} of ${task.topic}/${task.partition}, but the group committed ${committed ?? "none"}. ` +
        "They are written in one transaction, so one of them was changed from outside, or the offset expired (7 days without an active group). Put the group's offset back, or reset the job by deleting the changelog topic, the checkpoints and the group's offsets."
    )
  )

const stop = (message: string): LogError => new LogError("Stop", message)
