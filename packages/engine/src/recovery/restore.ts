import { Effect, Fiber } from "effect"
import { nowMs } from "../clock.ts"
import { persistently } from "../patience.ts"
import type { BlobError, Blobs } from "../ports/blobs.ts"
import { LogError, type Position, type TopicPartition } from "../ports/log.ts"
import type { Task } from "../task/task.ts"
import { storeError } from "./checkpoint.ts"
import { type LostOptions, type Range, rangeOf, standing } from "./lost.ts"
import type { PartitionProgress } from "./progress.ts"
import { advance, logOf, openReplica, type Replica, type ReplicaOptions } from "./replica.ts"

export interface RestoreOptions extends LostOptions, ReplicaOptions {
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

/**
 * Brings a task's state back, and answers with the source position to go on from. Lets others run in between. After a failure
 * the task is as new, and may be restored once more.
 */
export const restoreTask = (
  options: RestoreOptions,
  task: Task,
  part: PartitionProgress
): Effect.Effect<Restored, LogError, Blobs> =>
  Effect.gen(function* () {
    const known = ({ written }: Goal) => Effect.sync(() => part.written(written))
    // Its answer takes time of others, not of this thread, which puts a checkpoint back meanwhile.
    const goal = yield* Effect.forkScoped(Effect.tap(goalOf(options, task), known))
    // So does the broker, which hands over what was changed since.
    const ahead = (since: number) => options.changelog.ahead(logOf(options, task), since)
    const replica = yield* openReplica(options, task, part, ahead)
    return yield* settled(options, replica, part, Fiber.join(goal))
  }).pipe(Effect.scoped, orAsNew(task))

/** The same for a task of which a replica is here already; after a failure that stands for nothing any more. */
export const settleReplica = (
  options: RestoreOptions,
  replica: Replica,
  part: PartitionProgress
): Effect.Effect<Restored, LogError, Blobs> =>
  settled(options, replica, part, goalOf(options, replica.task)).pipe(orAsNew(replica.task))

const orAsNew =
  (task: Task) =>
  <A, R>(restore: Effect.Effect<A, LogError | BlobError, R>): Effect.Effect<A, LogError, R> =>
    restore.pipe(
      Effect.catchTag("BlobError", error => Effect.fail(storeError(error, "Stop"))),
      Effect.tapError(() => Effect.sync(() => task.reset()))
    )

const settled = (
  options: RestoreOptions,
  replica: Replica,
  part: PartitionProgress,
  goal: Effect.Effect<Goal, LogError>
) =>
  Effect.gen(function* () {
    const { task } = replica
    const { topic, partition } = task
    const { reached, range } = yield* settle(options, replica, part, goal)
    if (reached !== undefined)
      return { topic, partition, offset: yield* standing(options, task, reached, range), committed: reached }
    // Nothing was ever committed for the partition: it starts at the beginning of its topic.
    return { topic, partition, offset: range.start, committed: range.start }
  })

/** What a restore has to come to. */
interface Goal {
  /** The group's stable offset; undefined while there is none. */
  readonly committed: number | undefined
  /** The end of all that was written to the changelog when that offset was known. */
  readonly written: number
  /** What was in the source's log then. */
  readonly range: Range
}

interface Settled extends Pick<Goal, "range"> {
  /** The source offset that the state stands for; undefined: nothing was ever committed. */
  readonly reached: number | undefined
}

/** Of a partition that the group has given: its last owner commits nothing more that is not pending already. */
const goalOf = (options: RestoreOptions, task: TopicPartition): Effect.Effect<Goal, LogError> =>
  Effect.gen(function* () {
    const stands = Effect.gen(function* () {
      const [committed] = yield* options.source.committed([task])
      return { committed, written: yield* persistently(options.changelog.written(logOf(options, task))) }
    })
    const [{ committed, written }, range] = yield* Effect.all([stands, rangeOf(options.source, task)], {
      concurrency: "unbounded"
    })
    return { committed, written, range }
  })

/**
 * Reads the changelog until it stands for the same source offset as the group's committed one (Assignment, 2). Equal
 * offsets are not enough: a transaction in which only time passed moves none, and its end is answered before its markers
 * are written. So everything that was written when the committed offset was known has to be decided.
 */
const settle = (
  options: RestoreOptions,
  replica: Replica,
  part: PartitionProgress,
  goal: Effect.Effect<Goal, LogError>
): Effect.Effect<Settled, LogError | BlobError, Blobs> =>
  Effect.gen(function* () {
    const { task, log } = replica
    const deadline = (yield* nowMs) + options.patienceMs
    // Asked for again in each round: a predecessor's transaction may have ended in between, or the coordinator has read its
    // whole log by now (docs/guarantees.md, Brokers that forget).
    for (let asked = goal; ; asked = goalOf(options, task)) {
      // Before asking: who stood still in between has not waited.
      const last = (yield* nowMs) > deadline
      const { committed, written, range } = yield* asked
      part.changelog(replica.since, written)
      // A follower may have read all of it already.
      const complete = replica.reached === committed && replica.next === written
      const next = complete ? written : yield* advance(options, replica, part)
      const { reached } = replica
      if (reached === committed && next >= written) return { reached, range }
      if (last)
        return yield* reached === committed ? undecided(log, next, written) : disagree(task, log, reached, committed)
      yield* Effect.sleep("20 millis")
    }
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
        "They are written in one transaction, so one of them was changed from outside, the offset expired (7 days without an active group), or the group's coordinator has forgotten commits, as brokers do that restart while they load (kafka-consumer-groups.sh --describe shows what it knows). Restart that broker, put the group's offset back, or reset the job by deleting the changelog topic, the checkpoints and the group's offsets."
    )
  )

const stop = (message: string): LogError => new LogError("Stop", message)
