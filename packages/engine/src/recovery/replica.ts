import { StateError, type StoredBlock } from "@headrace/core"
import { Effect, Stream } from "effect"
import type { LaneMetrics } from "../metrics.ts"
import type { BlobError, Blobs } from "../ports/blobs.ts"
import { type ChangelogReader, LogError, type TopicPartition } from "../ports/log.ts"
import type { Task } from "../task/task.ts"
import { gapError, isGap, readHeader } from "./changelog.ts"
import { type Checkpoint, fromNewest, reachesBack } from "./checkpoint.ts"
import type { CheckpointHeader } from "./checkpoint-file.ts"
import type { PartitionProgress } from "./progress.ts"

export interface ReplicaOptions {
  readonly app: string
  readonly changelog: ChangelogReader
  readonly changelogTopic: (source: string) => string
  /** Counts what is put back. */
  readonly metrics: LaneMetrics
}

/** A partition's state as far as its changelog was read: what restores and standby lanes bring forward. */
export interface Replica {
  readonly task: Task
  readonly log: TopicPartition
  /** Where the changelog goes on behind the checkpoint. */
  readonly since: number
  /** The source offset that the state stands for; undefined while nothing was ever committed. */
  reached: number | undefined
  /** Where to read on. */
  next: number | "beginning"
}

/** The changelog partition of a source partition. */
export const logOf = (options: ReplicaOptions, { topic, partition }: TopicPartition): TopicPartition => ({
  topic: options.changelogTopic(topic),
  partition
})

/**
 * The state of the newest checkpoint. Lets others run in between. `knows` is told where the changelog goes on as soon as that is
 * known, which may turn out to be further back.
 */
export const openReplica = <R = never>(
  options: ReplicaOptions,
  task: Task,
  part: PartitionProgress,
  knows: (since: number) => Effect.Effect<void, never, R> = () => Effect.void
): Effect.Effect<Replica, LogError | BlobError, Blobs | R> =>
  Effect.map(
    fromNewest(
      options.app,
      task,
      newest =>
        Effect.andThen(
          newest === undefined ? Effect.void : knows(newest.changelogOffset),
          putBack(options, task, part, newest)
        ),
      { reaches: reachesBack(options.changelog, logOf(options, task)) }
    ),
    checkpoint => ({
      task,
      log: logOf(options, task),
      since: checkpoint?.changelogOffset ?? 0,
      reached: checkpoint?.sourceOffset,
      next: checkpoint?.changelogOffset ?? "beginning"
    })
  )

/** All entries of a checkpoint, or none: a damaged one leaves nothing behind. */
const putBack = (
  { metrics }: ReplicaOptions,
  task: Task,
  part: PartitionProgress,
  checkpoint: Checkpoint | undefined
) => {
  if (checkpoint === undefined) return Effect.succeed(undefined)
  part.checkpoint(checkpoint.bytes, checkpoint.changelogOffset)
  const entries = (block: StoredBlock) =>
    Effect.sync(() => {
      metrics.add("restored", task.restore(block))
      part.put(block.bytes.length)
    })
  return Stream.runForEach(checkpoint.blocks, block => Effect.andThen(entries(block), part.breathe)).pipe(
    Effect.as<CheckpointHeader>(checkpoint),
    Effect.catchDefect(defect => {
      if (defect instanceof StateError) return Effect.fail(notOwn(task, defect))
      // There is no room for it.
      return defect instanceof LogError ? Effect.fail(defect) : Effect.die(defect)
    }),
    Effect.tapError(() => Effect.sync(() => task.reset()))
  )
}

/** State that this pipeline does not keep, or not like that: nothing is read by another schema than it was written with. */
const notOwn = ({ topic, partition }: TopicPartition, cause: StateError): LogError =>
  new LogError("Stop", `Cannot restore ${topic}/${partition}: ${cause.message}`, { cause })

/**
 * Reads all that is committed by now, and answers with where that ends. When it fails for want of an answer, or is
 * interrupted, the replica stands for what was read so far, and may be brought forward from there.
 */
export const advance = (
  { app, changelog, metrics }: ReplicaOptions,
  replica: Replica,
  part: PartitionProgress
): Effect.Effect<number, LogError | BlobError, Blobs> =>
  Effect.gen(function* () {
    const { task, log, next } = replica
    let failure: LogError | undefined
    const range = yield* changelog.read(
      log,
      next,
      (offset, bytes, start, end) => {
        const header = readHeader(bytes, start, end)
        // Nothing behind it is taken up: whoever reads on in this replica, a lane that was handed it meanwhile, meets it again.
        if (isGap(header, replica.reached)) {
          failure = gapError(log, offset, header.from, replica.reached)
          return false
        }
        metrics.add("restored", 1)
        try {
          task.apply(bytes.subarray(header.changes, end))
        } catch (error) {
          if (!(error instanceof StateError)) throw error
          failure = notOwn(task, error)
          return false
        }
        part.put(end - start, offset + 1)
        replica.reached = header.to
        replica.next = offset + 1
        return true
      },
      part.breathe
    )
    if (range.start > (next === "beginning" ? 0 : next)) return yield* trimmed(app, task, log, range.start, next)
    if (failure !== undefined) return yield* Effect.fail(failure)
    replica.next = range.end
    return range.end
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
      new LogError(
        "Stop",
        `${where}, but ${usable}: ` +
          "state in between is lost. Restore the checkpoints, or reset the job by deleting the changelog topic and the group's offsets."
      )
    )
  })
