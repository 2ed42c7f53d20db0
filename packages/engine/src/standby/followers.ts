import { Effect, Semaphore } from "effect"
import { nowMs } from "../clock.ts"
import { nameOf } from "../lane/tasks.ts"
import type { LaneMetrics } from "../metrics.ts"
import { BlobError, type Blobs } from "../ports/blobs.ts"
import type { ChangelogReader, LogError, TopicPartition } from "../ports/log.ts"
import { type PartitionProgress, RestoreProgress } from "../recovery/progress.ts"
import { advance, openReplica, type Replica, type ReplicaOptions } from "../recovery/replica.ts"
import type { Outputs } from "../task/outputs.ts"
import type { Task } from "../task/task.ts"

/** Between two looks at the changelogs that are followed. */
const INTERVAL = "100 millis"
/** Partitions that are looked at at the same time. */
const CONCURRENCY = 2
/** A partition that could not be followed is not tried again at once. */
const PAUSE_MS = 5_000

export interface FollowOptions extends ReplicaOptions {
  /** The partitions to follow as of now. Never one whose task runs. Undefined: that cannot be told at the moment. */
  readonly wanted: Effect.Effect<readonly TopicPartition[] | undefined, LogError>
  readonly makeTask: (partition: TopicPartition, outputs: () => Outputs) => Task
  readonly gauges: LaneMetrics
}

/** A replica of a partition that somebody else owns. */
interface Followed {
  readonly replica: Replica
  /** Held by whoever reads on: the follower, or the lane that has taken it over. */
  readonly turn: Semaphore.Semaphore
  /** Offsets written beyond what had been read, at the last look. */
  behind: number
}

/**
 * Keeps the state of partitions that others own up to date, by their checkpoints and changelogs, so that a lane which is
 * given one of them has only the rest to read. Holds that state, and of the logs no more than a batch at a time.
 */
export class Followers {
  private readonly followed = new Map<string, Followed>()
  private readonly taken = new WeakMap<Task, Followed>()
  private readonly notBefore = new Map<string, number>()
  private readonly options: FollowOptions
  private readonly progress: RestoreProgress
  private outputs: (() => Outputs) | undefined

  constructor(options: FollowOptions) {
    this.options = options
    this.progress = new RestoreProgress(options.metrics)
  }

  /** How far behind each followed partition was at the last look, in offsets of its changelog. */
  behind(): readonly (TopicPartition & { readonly behind: number })[] {
    return Array.from(this.followed.values(), ({ replica: { task }, behind }) => ({
      topic: task.topic,
      partition: task.partition,
      behind
    }))
  }

  /** Hands the task of a followed partition over: its state stands for what was read. It is not followed any more. */
  take(partition: TopicPartition, outputs: () => Outputs): Task | undefined {
    const one = this.followed.get(nameOf(partition))
    if (one === undefined) return undefined
    this.outputs = outputs
    this.followed.delete(nameOf(partition))
    this.taken.set(one.replica.task, one)
    this.options.gauges.add("tookOver", 1)
    return one.replica.task
  }

  /**
   * Reads on in what was handed over with this task, once the follower has come back from it; undefined if it never was. The
   * follower's reader of changelogs has its connections already.
   */
  withTaken<A, E, R>(
    task: Task,
    use: (replica: Replica, changelog: ChangelogReader) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> | undefined {
    const one = this.taken.get(task)
    this.taken.delete(task)
    return one?.turn.withPermits(1)(use(one.replica, this.options.changelog))
  }

  /** Follows for ever. What fails is said, and tried again. */
  readonly run: Effect.Effect<never, never, Blobs> = Effect.suspend(() => this.look()).pipe(
    Effect.catch(error => Effect.logWarning(`Standby: ${error.message}`)),
    Effect.andThen(Effect.sleep(INTERVAL)),
    Effect.forever
  )

  /** One look at everything that is wanted; none, and nothing is given up, where that cannot be told. */
  look(): Effect.Effect<void, LogError, Blobs> {
    return Effect.gen({ self: this }, function* () {
      const wanted = yield* this.options.wanted
      if (wanted === undefined) return
      const names = new Set(wanted.map(nameOf))
      for (const name of this.followed.keys()) if (!names.has(name)) this.drop(name)
      yield* Effect.forEach(wanted, partition => this.bringForward(partition), {
        concurrency: CONCURRENCY,
        discard: true
      })
      this.report(wanted.length)
    })
  }

  private bringForward(partition: TopicPartition): Effect.Effect<void, never, Blobs> {
    const name = nameOf(partition)
    const forward = Effect.fnUntraced({ self: this }, function* (part: PartitionProgress) {
      if ((this.notBefore.get(name) ?? 0) > (yield* nowMs)) return
      const one = this.followed.get(name) ?? (yield* this.open(partition, part))
      yield* one.turn.withPermits(1)(this.readOn(name, one, part))
    })
    return this.progress.during(forward).pipe(
      Effect.catch(error =>
        Effect.gen({ self: this }, function* () {
          this.drop(name)
          if (error instanceof BlobError || error.failure !== "Retry")
            this.notBefore.set(name, (yield* nowMs) + PAUSE_MS)
          yield* Effect.logWarning(`Standby for ${name}: ${error.message}`)
        })
      )
    )
  }

  /** Not offered before all of the checkpoint is in it. */
  private open(
    partition: TopicPartition,
    part: PartitionProgress
  ): Effect.Effect<Followed, LogError | BlobError, Blobs> {
    const task = this.options.makeTask(partition, () => this.outputs!())
    return Effect.map(openReplica(this.options, task, part), replica => {
      const one = { replica, turn: Semaphore.makeUnsafe(1), behind: Number.POSITIVE_INFINITY }
      this.followed.set(nameOf(partition), one)
      return one
    }).pipe(Effect.tapError(() => Effect.sync(() => task.close())))
  }

  /** Unless it was handed over: then it is its lane's. Nobody reads on in it now. */
  private drop(name: string): void {
    this.followed.get(name)?.replica.task.close()
    this.followed.delete(name)
  }

  /** Not in what was handed over meanwhile: that is its lane's affair now. */
  private readOn(
    name: string,
    one: Followed,
    part: PartitionProgress
  ): Effect.Effect<void, LogError | BlobError, Blobs> {
    return Effect.gen({ self: this }, function* () {
      const { replica } = one
      const written = yield* this.options.changelog.written(replica.log)
      one.behind = written - (replica.next === "beginning" ? 0 : replica.next)
      part.changelog(replica.since, written)
      if (this.followed.get(name) === one) yield* advance(this.options, replica, part)
    })
  }

  private report(wanted: number): void {
    const { gauges: metrics } = this.options
    const all = [...this.followed.values()]
    metrics.set("toFollow", wanted)
    metrics.set("followed", all.length)
    metrics.set(
      "followedBytes",
      all.reduce((sum, { replica }) => sum + bytesOf(replica.task), 0)
    )
    metrics.set(
      "behind",
      all.reduce((most, { behind }) => Math.max(most, behind), 0)
    )
    metrics.add("looks", 1)
  }
}

const bytesOf = (task: Task): number => task.sizes().reduce((sum, { bytes }) => sum + bytes, 0)
