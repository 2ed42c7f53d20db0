import { Effect } from "effect"
import { LastWarning } from "./last-warning.ts"
import { StateSizes } from "./state-sizes.ts"

/** What one lane reports, in this order. Counters only grow; gauges hold the last value. */
const NAMES = [
  "recordsIn",
  "recordsOut",
  "late",
  "lateDropped",
  "partialsOverflowed",
  "partialsDropped",
  "partialsTimedOut",
  "patternsRefused",
  "inNoWindow",
  "deadLettered",
  "commits",
  "aborts",
  "restores",
  "restoreFailures",
  "repeats",
  "partitions",
  "lag",
  "watermark",
  "watermarkBehind",
  "watermarkAhead",
  "heldBack",
  "stateBytes",
  "stateBound",
  "bufferedBytes",
  "commitMs",
  "phase",
  "beats",
  "inFlight",
  "blocked",
  "restored",
  "lostOffsets",
  "restoringBytes",
  "restoringTotalBytes",
  "restoringMs",
  "tookOver",
  "toFollow",
  "followed",
  "followedBytes",
  "behind",
  "looks",
  "standingMs",
  "standingWhy",
  "standingSource",
  "standingPartition",
  "source",
  "partition",
  "offset"
] as const
const OFFSET = NAMES.indexOf("offset")
/** `offset` while no record is being processed. */
export const NO_RECORD = -1
export type MetricName = (typeof NAMES)[number]

/** What a lane is doing; `phase` holds the index. */
export const PHASES = [
  "starting",
  "joining",
  "restoring",
  "running",
  "waiting",
  "stopping",
  "failed",
  "stopped",
  "following",
  "spare"
] as const
export type Phase = (typeof PHASES)[number]

/**
 * Why the partition that has stood still for longest does: its state does not come back; nothing of it is read or committed; a
 * transaction in its topic is not decided. `standingWhy` holds the index.
 */
export const STANDING = ["restore", "unread", "undecided"] as const
export type StandingWhy = (typeof STANDING)[number]

/** Upper bounds in ms of the commit latency histogram: 1, 1.25, 1.56 … about 137 s, and above. */
export const COMMIT_BOUNDS: Float64Array = Float64Array.from({ length: 55 }, (_, i) =>
  i < 54 ? 1.25 ** i : Number.POSITIVE_INFINITY
)

const FIGURES = NAMES.length + COMMIT_BOUNDS.length
const WARNING_AT = (FIGURES + StateSizes.LENGTH) * 8

/**
 * A lane's metrics in shared memory: the lane writes, the main thread reads at any time, and no message is sent.
 * One writer; readers may see one value newer than another, which metrics can bear.
 */
export class LaneMetrics {
  readonly buffer: SharedArrayBuffer
  /** State by partition and operator. */
  readonly states: StateSizes
  /** Why it does not get on, in its own words. */
  readonly warning: LastWarning
  private readonly values: Float64Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WARNING_AT + LastWarning.BYTES)) {
    this.buffer = buffer
    this.values = new Float64Array(buffer, 0, WARNING_AT / 8)
    this.states = new StateSizes(this.values.subarray(FIGURES))
    this.warning = new LastWarning(buffer, WARNING_AT)
  }

  /** Offsets that come are of this partition of the plan's source of this number. */
  within(source: number, partition: number): void {
    this.set("source", source)
    this.set("partition", partition)
  }
  /** The record that the pipeline's functions get now, so that one which never comes back can be named. */
  at(offset: number): void {
    this.values[OFFSET] = offset
  }

  get(name: MetricName): number {
    return this.values[NAMES.indexOf(name)]!
  }
  set(name: MetricName, value: number): void {
    this.values[NAMES.indexOf(name)] = value
  }
  add(name: MetricName, amount: number): void {
    this.values[NAMES.indexOf(name)]! += amount
  }

  /** One commit, from the seal of its transaction to the broker's answer; of a table, one block. */
  commitTook(ms: number): void {
    let bucket = 0
    while (COMMIT_BOUNDS[bucket]! < ms) bucket++
    this.values[NAMES.length + bucket]! += 1
    this.add("commits", 1)
    this.add("commitMs", ms)
  }

  /** How many commits took at most this long, for each of COMMIT_BOUNDS. */
  commitsWithin(): readonly number[] {
    let seen = 0
    return Array.from(COMMIT_BOUNDS, (_, i) => (seen += this.values[NAMES.length + i]!))
  }
}

const BEAT = "250 millis"

/** Shows that this thread's event loop turns, for as long as it does. */
export const beating = (metrics: LaneMetrics): Effect.Effect<never> =>
  Effect.sync(() => metrics.add("beats", 1)).pipe(Effect.andThen(Effect.sleep(BEAT)), Effect.forever)
