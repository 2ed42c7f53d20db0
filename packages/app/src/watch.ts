import type { EngineFigures, EngineSnapshot } from "@headrace/loadtest"
import { Effect, Schema } from "effect"

/** The pipeline that is measured does not say how it fares. */
export class NoMetrics extends Schema.TaggedError<NoMetrics>()("NoMetrics", { message: Schema.String }) {}

/** What `/metrics` of a running pipeline says that the load's view and summary show. */
interface Sample {
  readonly at: number
  readonly lanes: number
  readonly lag: number
  readonly commits: number
  /** Commits of all lanes that took at most so many ms, by that bound, growing. */
  readonly within: ReadonlyMap<number, number>
  readonly rssMb: number
  readonly startupMs: number
  /** Of all lanes together; nothing in all when none restores. */
  readonly restoring: NonNullable<EngineSnapshot["restoring"]>
  readonly state: NonNullable<EngineSnapshot["state"]>
}

const EVERY_MS = 500

/** Follows a pipeline's `/metrics` while the scope lives. A scrape that fails leaves the last figures standing. */
export const watch = Effect.fnUntraced(function* (url: string) {
  let last: Sample | undefined
  let first: Sample | undefined
  let commitsPerSecond = 0
  let peakMb = 0
  const scrape = Effect.map(fetchSample(url), sample => {
    if (sample === undefined) return
    if (last !== undefined) commitsPerSecond = ((sample.commits - last.commits) * 1000) / (sample.at - last.at)
    peakMb = Math.max(peakMb, sample.rssMb)
    last = sample
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(scrape, Effect.sleep(EVERY_MS))))
  const snapshot = (): EngineSnapshot | undefined =>
    last && {
      lag: last.lag,
      commitsPerSecond,
      commitMs: commitMs(last, first),
      rssMb: last.rssMb,
      state: last.state,
      ...(last.restoring.totalBytes > 0 ? { restoring: last.restoring } : {})
    }
  const begin = Effect.gen(function* () {
    yield* scrape
    const begun = last
    if (begun === undefined) return yield* new NoMetrics({ message: `${url}/metrics: ${NO_ANSWER}` })
    first = begun
    peakMb = begun.rssMb
    return Effect.map(scrape, () => figuresOf(begun, last ?? begun, peakMb))
  })
  return {
    snapshot,
    /** What is measured begins now. Answers with what asks for the figures since then. */
    begin
  }
})

const NO_ANSWER = "no pipeline answers there; give the address that `headrace run` logs for health and metrics"

const figuresOf = (first: Sample, last: Sample, rssMb: number): EngineFigures => ({
  commitMs: commitMs(last, first),
  rssMb,
  startupMs: last.startupMs,
  lanes: last.lanes
})

/** Upper bounds of the buckets that hold these quantiles of the commits between two samples; 0 without any. */
const commitMs = (last: Sample, first: Sample | undefined): EngineFigures["commitMs"] => {
  const between = [...last.within].map(([bound, count]) => [bound, count - (first?.within.get(bound) ?? 0)] as const)
  const total = between.at(-1)?.[1] ?? 0
  const quantile = (q: number) => (total === 0 ? 0 : between.find(([, count]) => count >= q * total)![0])
  return { p50: quantile(0.5), p99: quantile(0.99) }
}

const fetchSample = (url: string): Effect.Effect<Sample | undefined> =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
    return response?.ok ? sampleOf(await response.text()) : undefined
  })

const sampleOf = (text: string): Sample => {
  const series = parse(text)
  const lanes = (name: string) => series.filter(line => line.name === name && line.labels.includes('kind="lane"'))
  const sum = (name: string) => lanes(name).reduce((total, line) => total + line.value, 0)
  const one = (name: string) => series.find(line => line.name === name)?.value ?? Number.NaN
  const within = new Map<number, number>()
  for (const { labels, value } of lanes("headrace_commit_ms_bucket")) {
    const bound = Number(/le="(.+?)"/.exec(labels)?.[1]?.replace("+Inf", "Infinity"))
    within.set(bound, (within.get(bound) ?? 0) + value)
  }
  return {
    at: performance.now(),
    lanes: lanes("headrace_partitions").length,
    lag: sum("headrace_lag_records"),
    commits: sum("headrace_commits_total"),
    within,
    rssMb: one("process_resident_memory_bytes") / 1048576,
    startupMs: one("headrace_startup_ms"),
    state: statesOf(series),
    restoring: {
      doneBytes: sum("headrace_restoring_done_bytes"),
      totalBytes: sum("headrace_restoring_total_bytes"),
      ms: Math.max(0, ...lanes("headrace_restoring_ms").map(line => line.value))
    }
  }
}

/** Operators with the most state that are shown. */
const SHOWN = 3

/** By operator, over all partitions and lanes. */
const statesOf = (series: ReturnType<typeof parse>): Sample["state"] => {
  const mb = (metric: string, operator: string) =>
    series
      .filter(({ name, labels }) => name === metric && operatorOf(labels) === operator)
      .reduce((sum, line) => sum + line.value / 1048576, 0)
  const operators = series
    .filter(({ name }) => name === "headrace_operator_state_bytes")
    .map(one => operatorOf(one.labels))
  return [...new Set(operators)]
    .map(operator => ({
      operator,
      memoryMb: mb("headrace_operator_state_bytes", operator),
      diskMb: mb("headrace_operator_spilled_bytes", operator)
    }))
    .toSorted((a, b) => b.memoryMb + b.diskMb - a.memoryMb - a.diskMb)
    .slice(0, SHOWN)
}

const operatorOf = (labels: string): string => /operator="(.*?)"/.exec(labels)?.[1] ?? ""

const parse = (text: string) =>
  text.split("\n").flatMap(line => {
    const [, name, labels, value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    return name === undefined ? [] : [{ name, labels: labels ?? "", value: Number(value) }]
  })
