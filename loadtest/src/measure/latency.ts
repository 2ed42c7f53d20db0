import { build, type Histogram } from "hdr-histogram-js"
import type { Quantiles } from "../report.ts"

/** Histograms count tenths of a millisecond, up to an hour, with three significant digits. */
const PER_MS = 10
const HIGHEST = 3_600_000 * PER_MS

const makeHistogram = (): Histogram =>
  build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST,
    numberOfSignificantValueDigits: 3,
    autoResize: false,
    useWebAssembly: false
  })

/** Latency of a whole run and of its last seconds. A latency below zero (clocks) counts as 0, above an hour as one. */
export class Latency {
  private readonly whole = makeHistogram()
  private readonly recent = makeHistogram()

  record(latencyMs: number, times = 1): void {
    const value = Math.min(HIGHEST, Math.max(0, Math.round(latencyMs * PER_MS)))
    this.whole.recordValueWithCount(value, times)
    this.recent.recordValueWithCount(value, times)
  }

  get count(): number {
    return this.whole.totalCount
  }

  quantiles(): Quantiles {
    return quantilesOf(this.whole)
  }

  /** The quantiles since the last call. */
  takeRecent(): Quantiles {
    const quantiles = quantilesOf(this.recent)
    this.recent.reset()
    return quantiles
  }
}

const quantilesOf = (histogram: Histogram): Quantiles => {
  const at = (percentile: number) => histogram.getValueAtPercentile(percentile) / PER_MS
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: histogram.maxValue / PER_MS }
}
