import type { EngineFigures, EngineSnapshot } from "@headrace/loadtest"
import { Effect } from "effect"

/** What `/metrics` of a running pipeline says that the load's view and summary show. */
interface Sample {
  readonly at: number
  readonly lanes: number
  readonly lag: number
  readonly commits: number
  readonly p50: number
  readonly p99: number
  readonly rssMb: number
}

const EVERY_MS = 500

/** Follows a pipeline's `/metrics` while the scope lives. A scrape that fails leaves the last figures standing. */
export const watch = Effect.fnUntraced(function* (url: string) {
  let last: Sample | undefined
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
    last && { lag: last.lag, commitsPerSecond, commitMs: { p50: last.p50, p99: last.p99 }, rssMb: last.rssMb }
  const figures = (startupMs: number): Effect.Effect<EngineFigures> =>
    Effect.map(scrape, () => ({
      commitMs: { p50: last?.p50 ?? Number.NaN, p99: last?.p99 ?? Number.NaN },
      rssMb: last === undefined ? Number.NaN : peakMb,
      startupMs,
      lanes: last?.lanes ?? Number.NaN
    }))
  return { snapshot, figures }
})

const fetchSample = (url: string): Effect.Effect<Sample | undefined> =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
    return response?.ok ? sampleOf(await response.text()) : undefined
  })

/** Exported for its test. */
export const sampleOf = (text: string): Sample => {
  const series = parse(text)
  const lanes = (name: string) => series.filter(line => line.name === name && line.labels.includes('kind="lane"'))
  const sum = (name: string) => lanes(name).reduce((total, line) => total + line.value, 0)
  const one = (name: string, label = "") =>
    series.find(line => line.name === name && line.labels.includes(label))?.value ?? Number.NaN
  const commit = (q: string) =>
    series.find(line => line.name === "headrace_commit_ms" && line.labels === `unit="lanes",quantile="${q}"`)?.value ??
    0
  return {
    at: performance.now(),
    lanes: lanes("headrace_partitions").length,
    lag: sum("headrace_lag_records"),
    commits: sum("headrace_commits_total"),
    p50: commit("0.5"),
    p99: commit("0.99"),
    rssMb: one("process_resident_memory_bytes") / 1048576
  }
}

const parse = (text: string) =>
  text.split("\n").flatMap(line => {
    const [, name, labels, value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    return name === undefined ? [] : [{ name, labels: labels ?? "", value: Number(value) }]
  })
