import type { AlertCounts, AlertsByRule } from "./measure/alerts.ts"

/** Quantiles in ms. */
export interface Quantiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** What was found in one place of all that was sent. */
export interface Counts {
  readonly rows: number
  readonly lost: number
  readonly duplicated: number
}

/** The audit of the windows and of late events against what the generator knows that it sent. */
export interface WindowAudit {
  readonly windows: number
  /** Windows of one account that came more than once. */
  readonly duplicated: number
  readonly payments: number
  readonly expectedPayments: number
  /** Whether each window holds exactly its own payments and cents, see checksum.ts. */
  readonly exact: boolean
}

/** The alerts that came, against those that are due for what was planted. */
export interface PatternAudit extends AlertCounts {
  /** Sequences that were planted, those included that only nearly match. */
  readonly planted: number
  readonly byRule: AlertsByRule
}

export interface ClickHouseAudit extends Counts {
  /** From the intended send time until a query sees the row: an upper bound, by polling. */
  readonly latencyMs: Quantiles
  /** Rows of the spend table and the payments in them; undefined if it is not audited. */
  readonly spend: { readonly rows: number; readonly payments: number; readonly exact: boolean } | undefined
  readonly patterns: AlertCounts
}

/** What a run of the load showed. All of it measured outside the engine. */
export interface LoadReport {
  /** The number of this run in the ids of its events. */
  readonly run: number
  readonly rate: number
  readonly forMs: number
  readonly seed: number
  /** Of the generator. */
  readonly threads: number
  /** Events handed to Kafka; `unacknowledged` of them have no answer (not counted as lost). */
  readonly sent: number
  readonly unacknowledged: number
  /** Distinct events that came out. */
  readonly processed: number
  readonly lost: number
  readonly duplicated: number
  /** Events that came out in another order than they were sent, within one thread and partition. */
  readonly disordered: number
  readonly throughputEps: number
  readonly latencyMs: Quantiles
  readonly warmupMs: number
  readonly late: { readonly planted: number; readonly seen: number }
  readonly windows: WindowAudit
  readonly patterns: PatternAudit
  readonly clickhouse: ClickHouseAudit | undefined
  /** How far the generator was behind its schedule at worst, and how often its queue was full. */
  readonly behindMs: number
  readonly queueFull: number
  /** From the last event sent until everything had come out; infinite (null in JSON) if it never did. */
  readonly drainMs: number
  /** What was wrong, in words; empty when all is well. */
  readonly problems: readonly string[]
}

/** What only the caller knows: figures of the pipeline's process. */
export interface EngineFigures {
  readonly commitMs: { readonly p50: number; readonly p99: number }
  readonly rssMb: number
  readonly startupMs: number
  readonly lanes: number
}

/** The JSON of `--report`. */
export interface Summary {
  readonly sent: number
  readonly processed: number
  readonly lost: number
  readonly duplicated: number
  readonly throughput_eps: number
  readonly latency_ms: Quantiles
  readonly commit_ms: { readonly p50: number; readonly p99: number }
  readonly rss_mb: number
  readonly startup_ms: number
  readonly lanes: number
  readonly exactly_once: boolean
  readonly clickhouse?: Counts
  /** Of the patterns that were planted; in ClickHouse under `details`. */
  readonly patterns: AlertCounts
  /** How it was measured, and what else was found. */
  readonly details: Details
}

export interface Details {
  readonly run: number
  readonly rate: number
  readonly for_ms: number
  readonly seed: number
  readonly warmup_ms: number
  readonly disordered: number
  readonly unacknowledged: number
  readonly late: { readonly planted: number; readonly seen: number }
  readonly windows: {
    readonly emitted: number
    readonly duplicated: number
    readonly payments: number
    readonly expected_payments: number
    readonly exact: boolean
  }
  readonly patterns: { readonly planted: number } & AlertsByRule
  readonly clickhouse?: {
    readonly latency_ms: Quantiles
    readonly spend?: { readonly rows: number; readonly payments: number; readonly exact: boolean }
    readonly patterns: AlertCounts
  }
  readonly generator: { readonly threads: number; readonly behind_ms: number; readonly queue_full: number }
  readonly drain_ms: number
  readonly problems: readonly string[]
}

/** The summary of a run, plain JSON. `exactly_once` is true when nothing at all was wrong. */
export const summarise = (report: LoadReport, engine: EngineFigures): Summary => ({
  sent: report.sent,
  processed: report.processed,
  lost: report.lost,
  duplicated: report.duplicated,
  throughput_eps: Math.round(report.throughputEps),
  latency_ms: roundAll(report.latencyMs),
  commit_ms: { p50: round(engine.commitMs.p50), p99: round(engine.commitMs.p99) },
  rss_mb: Math.round(engine.rssMb),
  startup_ms: Math.round(engine.startupMs),
  lanes: engine.lanes,
  exactly_once: report.problems.length === 0,
  ...(report.clickhouse === undefined ? {} : { clickhouse: countsOf(report.clickhouse) }),
  patterns: alertsOf(report.patterns),
  details: detailsOf(report)
})

const countsOf = ({ rows, lost, duplicated }: Counts): Counts => ({ rows, lost, duplicated })

const alertsOf = ({ found, missed, false: wrong }: AlertCounts): AlertCounts => ({ found, missed, false: wrong })

const detailsOf = (report: LoadReport): Details => ({
  run: report.run,
  rate: report.rate,
  for_ms: report.forMs,
  seed: report.seed,
  warmup_ms: report.warmupMs,
  disordered: report.disordered,
  unacknowledged: report.unacknowledged,
  late: report.late,
  windows: windowsPart(report.windows),
  patterns: { planted: report.patterns.planted, ...report.patterns.byRule },
  ...(report.clickhouse === undefined ? {} : { clickhouse: clickhousePart(report.clickhouse) }),
  generator: { threads: report.threads, behind_ms: round(report.behindMs), queue_full: report.queueFull },
  drain_ms: round(report.drainMs),
  problems: report.problems
})

const clickhousePart = ({ latencyMs, spend, patterns }: ClickHouseAudit): NonNullable<Details["clickhouse"]> => ({
  latency_ms: roundAll(latencyMs),
  ...(spend === undefined ? {} : { spend }),
  patterns
})

const windowsPart = (audit: WindowAudit): Details["windows"] => ({
  emitted: audit.windows,
  duplicated: audit.duplicated,
  payments: audit.payments,
  expected_payments: audit.expectedPayments,
  exact: audit.exact
})

const round = (ms: number): number => Math.round(ms * 10) / 10

const roundAll = ({ p50, p90, p99, p999, max }: Quantiles): Quantiles => ({
  p50: round(p50),
  p90: round(p90),
  p99: round(p99),
  p999: round(p999),
  max: round(max)
})

/** Everything that contradicts "exactly once" in a report, one sentence each. */
export const problemsOf = (report: Omit<LoadReport, "problems">): readonly string[] =>
  [
    ...counted("Kafka", report),
    ...(report.clickhouse === undefined ? [] : counted("ClickHouse", report.clickhouse)),
    report.sent === 0 && "nothing was sent",
    report.disordered > 0 && `${report.disordered} events came out in another order than they were sent in`,
    report.unacknowledged > 0 &&
      `${report.unacknowledged} events were never acknowledged by Kafka: the input is incomplete`,
    ...windowProblems(report.windows),
    ...alertProblems("Kafka", report.patterns),
    ...(report.clickhouse === undefined ? [] : alertProblems("ClickHouse", report.clickhouse.patterns)),
    report.late.seen < report.late.planted &&
      `${report.late.planted} late events were planted, ${report.late.seen} came out as late`,
    report.clickhouse?.spend?.exact === false && "the windows in ClickHouse do not add up to the payments sent"
  ].filter(problem => problem !== false)

const counted = (place: string, { lost, duplicated }: Pick<Counts, "lost" | "duplicated">) => [
  lost > 0 && `${lost} events are missing in ${place}`,
  duplicated > 0 && `${duplicated} events are more than once in ${place}`
]

const alertProblems = (place: string, { missed, false: wrong }: AlertCounts) => [
  missed > 0 && `${missed} alerts are missing in ${place}`,
  wrong > 0 && `${wrong} alerts in ${place} are false, or there more than once`
]

const windowProblems = (audit: WindowAudit) => [
  audit.payments !== audit.expectedPayments &&
    `windows and late events hold ${audit.payments} payments, ${audit.expectedPayments} were sent`,
  audit.payments === audit.expectedPayments && !audit.exact && "a window holds payments that are not its own",
  audit.duplicated > 0 && `${audit.duplicated} windows were emitted more than once`
]
