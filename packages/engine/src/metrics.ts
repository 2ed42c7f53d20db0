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
  "lastCommitMs",
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

/** Upper bounds in ms of the commit latency histogram: 1, 1.25, 1.56 … about 190 s. */
const BUCKETS = Float64Array.from({ length: 55 }, (_, i) => 1.25 ** i)

/**
 * A lane's metrics in shared memory: the lane writes, the main thread reads at any time, and no message is sent.
 * One writer; readers may see one value newer than another, which metrics can bear.
 */
export class LaneMetrics {
  readonly buffer: SharedArrayBuffer
  private readonly values: Float64Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer((NAMES.length + BUCKETS.length) * 8)) {
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

  /** One commit, from the first flush to the broker's answer. */
  commitTook(ms: number): void {
    let bucket = 0
    while (bucket < BUCKETS.length - 1 && BUCKETS[bucket]! < ms) bucket++
    this.values[NAMES.length + bucket]! += 1
    this.add("commits", 1)
    this.set("lastCommitMs", ms)
  }

  /** Commit latency in ms at quantile `q` (0..1), the upper bound of its bucket; 0 before the first commit. */
  commitQuantile(q: number): number {
    return quantile([this], q)
  }
}

/** The commit latency at quantile `q` over several lanes. */
export const quantile = (lanes: readonly LaneMetrics[], q: number): number => {
  const counts = BUCKETS.map((_, i) => lanes.reduce((sum, lane) => sum + bucketOf(lane, i), 0))
  const total = counts.reduce((sum, count) => sum + count, 0)
  let seen = 0
  for (let i = 0; i < counts.length; i++) {
    seen += counts[i]!
    if (total > 0 && seen >= q * total) return BUCKETS[i]!
  }
  return 0
}

const bucketOf = (lane: LaneMetrics, bucket: number): number => new Float64Array(lane.buffer)[NAMES.length + bucket]!
