import type { Summary } from "./report.ts"
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

const rows = (s: Summary): readonly Row[] => [
  { name: "sent", value: `${count(s.sent)} events at ${count(s.rate)}/s for ${s.for_ms / 1000} s` },
  { name: "processed", value: `${count(s.processed)}, ${count(s.throughput_eps)}/s`, good: s.processed === s.sent },
  { name: "lost, duplicated", value: `${count(s.lost)}, ${count(s.duplicated)}`, good: s.lost + s.duplicated === 0 },
  {
    name: "windows",
    value: `${count(s.windows.emitted)} with late events hold ${count(s.windows.payments)} of ${count(s.windows.expected_payments)} payments`,
    good: s.windows.exact && s.windows.duplicated === 0
  },
  {
    name: "late events",
    value: `${count(s.late.seen)} of ${count(s.late.planted)} planted`,
    good: s.late.seen >= s.late.planted
  },
  {
    name: "latency",
    value: quantiles(s.latency_ms),
    good: s.latency_ms.p99 < P99_GOAL_MS
  },
  ...(s.clickhouse === undefined ? [] : clickhouseRows(s.clickhouse)),
  { name: "commit", value: `p50 ${ms(s.commit_ms.p50)}  p99 ${ms(s.commit_ms.p99)}` },
  { name: "memory", value: megabytes(s.rss_mb) },
  { name: "start", value: `${ms(s.startup_ms)}, ${s.lanes} lanes` },
  { name: "generator behind", value: `${ms(s.generator.behind_ms)} at worst` }
]

const clickhouseRows = (c: NonNullable<Summary["clickhouse"]>): readonly Row[] => [
  {
    name: "ClickHouse rows",
    value: `${count(c.rows)}, lost ${count(c.lost)}, duplicated ${count(c.duplicated)}`,
    good: c.lost + c.duplicated === 0
  },
  ...(c.spend === undefined
    ? []
    : [
        {
          name: "ClickHouse windows",
          value: `${count(c.spend.rows)} hold ${count(c.spend.payments)} payments`,
          good: c.spend.exact
        }
      ]),
  { name: "ClickHouse latency", value: quantiles(c.latency_ms), good: c.latency_ms.p99 < CLICKHOUSE_GOAL_MS }
]

const quantiles = (q: Summary["latency_ms"]): string =>
  `p50 ${ms(q.p50)}  p99 ${ms(q.p99)}  p99.9 ${ms(q.p999)}  max ${ms(q.max)}`

const verdict = (s: Summary): readonly string[] =>
  s.exactly_once
    ? [`${green("✓")} ${bold("exactly once")}`]
    : [`${red("✗")} ${bold("not exactly once")}`, ...s.problems.map(problem => `  ${problem}`)]
