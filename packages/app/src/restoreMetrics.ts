import type { LaneMetrics } from "@headrace/engine"

interface RestoreMetric {
  readonly name: string
  readonly kind: "gauge"
  readonly help: string
  readonly of: (done: number, total: number, seconds: number) => number
}

/** What follows from the bytes and the time of a restore, so that nobody has to work it out. */
export const RESTORE_METRICS: readonly RestoreMetric[] = [
  {
    name: "headrace_restoring_ratio",
    kind: "gauge",
    help: "Of a restore under way: the part that is done, from 0 to 1; NaN while there is none",
    of: (done, total) => done / total
  },
  {
    name: "headrace_restoring_bytes_per_second",
    kind: "gauge",
    help: "Of a restore under way: how fast it has been since it began; NaN while there is none",
    of: (done, _, seconds) => done / seconds
  },
  {
    name: "headrace_restoring_remaining_seconds",
    kind: "gauge",
    help: "Of a restore under way: how long it still takes at this rate; NaN while there is none, or while that is not known",
    of: (done, total, seconds) => (done === 0 ? Number.NaN : ((total - done) * seconds) / done)
  }
]

/** NaN while no restore is under way. */
export const restoreValue = (metrics: LaneMetrics, { of }: RestoreMetric): number => {
  const total = metrics.get("restoringTotalBytes")
  if (total === 0) return Number.NaN
  return of(metrics.get("restoringBytes"), total, metrics.get("restoringMs") / 1000)
}
