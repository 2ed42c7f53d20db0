import type { AlertCounts } from "./measure/alerts.ts"
import type { Counts, Details, Quantiles, Summary } from "./report.ts"
import { bold, count, dim, green, megabytes, ms, red, visibleLength } from "./text.ts"

/** The goals that the table holds the figures against. */
const P99_GOAL_MS = 250
const CLICKHOUSE_GOAL_MS = 2_000

interface Row {
  readonly name: string
  readonly value: string
  /** Undefined: a figure without a goal. */
  readonly good?: boolean
}

/** The summary of a run as a table for a terminal. */
export const renderSummary = (summary: Summary): string => {
  const lines = rows(summary).map(({ name, value, good }) => `${mark(good)} ${name.padEnd(22)} ${value}`)
  const width = Math.max(...lines.map(visibleLength))
  const rule = dim("─".repeat(width))
  return [rule, ...lines, rule, ...verdict(summary)].join("\n")
}

const mark = (good: boolean | undefined): string => (good === undefined ? " " : good ? green("✓") : red("✗"))

const rows = ({ details: d, ...s }: Summary): readonly Row[] => [
  { name: "sent", value: `${count(s.sent)} events at ${count(d.rate)}/s for ${d.for_ms / 1000} s` },
  { name: "processed", value: `${count(s.processed)}, ${count(s.throughput_eps)}/s`, good: s.processed === s.sent },
  { name: "lost, duplicated", value: `${count(s.lost)}, ${count(s.duplicated)}`, good: s.lost + s.duplicated === 0 },
  {
    name: "windows",
    value: `${count(d.windows.emitted)} with late events hold ${count(d.windows.payments)} of ${count(d.windows.expected_payments)} payments`,
    good: d.windows.exact && d.windows.duplicated === 0
  },
  {
    name: "patterns",
    value: alerts(s.patterns, d.patterns.planted),
    good: s.patterns.missed + s.patterns.false === 0
  },
  {
    name: "late events",
    value: `${count(d.late.seen)} of ${count(d.late.planted)} planted`,
    good: d.late.seen >= d.late.planted
  },
  {
    name: "latency",
    value: quantiles(s.latency_ms),
    good: s.latency_ms.p99 < P99_GOAL_MS
  },
  ...(s.clickhouse === undefined ? [] : clickhouseRows(s.clickhouse, d.clickhouse)),
  { name: "commit", value: `p50 ${ms(s.commit_ms.p50)}  p99 ${ms(s.commit_ms.p99)}` },
  { name: "memory", value: megabytes(s.rss_mb) },
  { name: "start", value: `${ms(s.startup_ms)}, ${s.lanes} lanes` },
  { name: "generator behind", value: `${ms(d.generator.behind_ms)} at worst` }
]

const clickhouseRows = (counts: Counts, found: Details["clickhouse"]): readonly Row[] => [
  {
    name: "ClickHouse rows",
    value: `${count(counts.rows)}, lost ${count(counts.lost)}, duplicated ${count(counts.duplicated)}`,
    good: counts.lost + counts.duplicated === 0
  },
  ...(found === undefined ? [] : [...spendRows(found.spend), alertRow(found.patterns), latencyRow(found.latency_ms)])
]

const alerts = ({ found, missed, false: wrong }: AlertCounts, planted?: number): string =>
  `${count(found)} found${planted === undefined ? "" : ` in ${count(planted)} planted sequences`}, missed ${count(missed)}, false ${count(wrong)}`

const alertRow = (found: AlertCounts): Row => ({
  name: "ClickHouse patterns",
  value: alerts(found),
  good: found.missed + found.false === 0
})

const spendRows = (spend: NonNullable<Details["clickhouse"]>["spend"]): readonly Row[] =>
  spend === undefined
    ? []
    : [
        {
          name: "ClickHouse windows",
          value: `${count(spend.rows)} hold ${count(spend.payments)} payments`,
          good: spend.exact
        }
      ]

const latencyRow = (latency: Quantiles): Row => ({
  name: "ClickHouse latency",
  value: quantiles(latency),
  good: latency.p99 < CLICKHOUSE_GOAL_MS
})

const quantiles = (q: Quantiles): string => `p50 ${ms(q.p50)}  p99 ${ms(q.p99)}  p99.9 ${ms(q.p999)}  max ${ms(q.max)}`

const verdict = (s: Summary): readonly string[] =>
  s.exactly_once
    ? [`${green("✓")} ${bold("exactly once")}`]
    : [`${red("✗")} ${bold("not exactly once")}`, ...s.details.problems.map(problem => `  ${problem}`)]
