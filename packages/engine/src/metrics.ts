/** What one lane reports, in this order. Counters only grow; gauges hold the last value. */
const NAMES = [
  "recordsIn",
  "recordsOut",
  "late",
  "lateDropped",
  "deadLettered",
  "commits",
  "aborts",
  "restores",
  "partitions",
  "lag",
  "watermark",
  "stateBytes",
  "bufferedBytes",
  "commitMs",
  "phase"
] as const
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
  "stopped"
] as const
export type Phase = (typeof PHASES)[number]

/** Upper bounds in ms of the commit latency histogram: 1, 1.25, 1.56 … about 137 s, and above. */
export const COMMIT_BOUNDS: Float64Array = Float64Array.from({ length: 55 }, (_, i) =>
  i < 54 ? 1.25 ** i : Number.POSITIVE_INFINITY
)

/**
 * A lane's metrics in shared memory: the lane writes, the main thread reads at any time, and no message is sent.
 * One writer; readers may see one value newer than another, which metrics can bear.
 */
export class LaneMetrics {
  readonly buffer: SharedArrayBuffer
  private readonly values: Float64Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer((NAMES.length + COMMIT_BOUNDS.length) * 8)) {
    this.buffer = buffer
    this.values = new Float64Array(buffer)
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
