import type { LaneMetrics } from "../metrics.ts"
import type { TopicPartition } from "../ports/log.ts"
import type { WallClock } from "../task/chain.ts"
import type { StateMemory } from "../task/memory.ts"
import type { Outputs } from "../task/outputs.ts"
import type { Task } from "../task/task.ts"
import type { Alignment } from "./alignment.ts"
import type { Pace } from "./pace.ts"

export interface LaneOptions {
  readonly pace: Pace
  /** The most records that a poll brings. */
  readonly maxPollRecords: number
  /** Unproduced output beyond this stops polling, in bytes. */
  readonly maxBufferedBytes: number
  /** A transaction of more bytes is not kept to be sent once more. */
  readonly maxKeptBytes: number
  /** Records in asynchronous steps beyond this stop polling. */
  readonly maxInFlight: number
  /** Results of windows that are due, emitted for each poll at least; more if the poll brought more records. */
  readonly resultsAtOnce: number
  /** Goes into each changelog record: who wrote it. */
  readonly transactionalIds: readonly [string, string]
  /** The name behind a topic id in `Batch.index`. */
  readonly topic: (id: number) => string
  /**
   * The task of a partition that the group gives, or whose state was thrown away. `restore` then brings it to where the
   * group stands, from wherever it is: from nothing here, or from where a follower of its changelog left it.
   */
  readonly makeTask: (partition: TopicPartition, outputs: () => Outputs) => Task
  /** Bounds the state of all its tasks. */
  readonly memory: StateMemory
  /** Which partitions wait for others. */
  readonly alignment: Alignment
  /** The output topic id of a source topic's changelog. */
  readonly changelogTopic: (source: string) => number
  /** What operators see of the wall clock; the lane keeps it. */
  readonly clock: WallClock
  readonly metrics: LaneMetrics
}
