import { COMMIT_BOUNDS, type MetricName } from "@headrace/engine"
import { Effect } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { RESTORE_METRICS, restoreValue } from "./restoreMetrics.ts"
import { type OperatorState, statesOf } from "./states.ts"
import type { Status } from "./status.ts"

type Kind = "counter" | "gauge" | "histogram"
interface Family {
  readonly name: string
  readonly kind: Kind
  readonly help: string
}

const LANE_METRICS: readonly (Family & { readonly metric: MetricName; readonly scale?: number })[] = [
  { metric: "recordsIn", name: "headrace_records_in_total", kind: "counter", help: "Records read" },
  { metric: "recordsOut", name: "headrace_records_out_total", kind: "counter", help: "Records written" },
  { metric: "late", name: "headrace_late_total", kind: "counter", help: "Records behind the watermark" },
  {
    metric: "lateDropped",
    name: "headrace_late_dropped_total",
    kind: "counter",
    help: "Late records that were dropped"
  },
  {
    metric: "partialsOverflowed",
    name: "headrace_pattern_overflow_total",
    kind: "counter",
    help: "Partial matches given up since a key had too many of a pattern"
  },
  {
    metric: "partialsDropped",
    name: "headrace_pattern_dropped_total",
    kind: "counter",
    help: "Partial matches dropped since their pattern changed or has gone"
  },
  {
    metric: "partialsTimedOut",
    name: "headrace_pattern_timed_out_total",
    kind: "counter",
    help: "Partial matches whose time was over"
  },
  {
    metric: "patternsRefused",
    name: "headrace_pattern_refused_total",
    kind: "counter",
    help: "Patterns not looked for since this version of the pipeline refuses what an earlier one accepted, at each start of their state"
  },
  {
    metric: "inNoWindow",
    name: "headrace_in_no_window_total",
    kind: "counter",
    help: "Records on time between windows that slide by more than their size"
  },
  {
    metric: "deadLettered",
    name: "headrace_dead_lettered_total",
    kind: "counter",
    help: "Records given up to a topic"
  },
  { metric: "commits", name: "headrace_commits_total", kind: "counter", help: "Committed transactions or blocks" },
  { metric: "aborts", name: "headrace_aborts_total", kind: "counter", help: "Aborted transactions" },
  {
    metric: "repeats",
    name: "headrace_repeats_total",
    kind: "counter",
    help: "Failed transactions that were sent once more, without state being restored"
  },
  { metric: "restores", name: "headrace_restores_total", kind: "counter", help: "Partitions restored" },
  {
    metric: "restoreFailures",
    name: "headrace_restore_failures_total",
    kind: "counter",
    help: "Restores of a partition that failed for what may pass, and were begun again"
  },
  { metric: "partitions", name: "headrace_partitions", kind: "gauge", help: "Partitions assigned" },
  { metric: "lag", name: "headrace_lag_records", kind: "gauge", help: "Offsets behind the end of the log" },
  {
    metric: "blocked",
    name: "headrace_blocked_records",
    kind: "gauge",
    help: "Of the lag: behind open transactions of others, or held back by alignment"
  },
  { metric: "watermark", name: "headrace_watermark_ms", kind: "gauge", help: "Lowest watermark, event time in ms" },
  {
    metric: "standingMs",
    name: "headrace_partition_standing_ms",
    kind: "gauge",
    help: "Of the partition that has stood still for longest though there is something to do in it: for how long (/health names it)"
  },
  {
    metric: "heldBack",
    name: "headrace_alignment_held_back",
    kind: "gauge",
    help: "Partitions that are not read since they are too far ahead of others in their alignment group"
  },
  { metric: "stateBytes", name: "headrace_state_bytes", kind: "gauge", help: "State in memory" },
  { metric: "stateBound", name: "headrace_state_bound_bytes", kind: "gauge", help: "What state may take in memory" },
  { metric: "bufferedBytes", name: "headrace_buffered_bytes", kind: "gauge", help: "Outputs not yet committed" },
  { metric: "lostOffsets", name: "headrace_lost_offsets_total", kind: "counter", help: "Offsets that retention took" },
  {
    metric: "restoringBytes",
    name: "headrace_restoring_done_bytes",
    kind: "gauge",
    help: "Of a restore under way: done"
  },
  {
    metric: "restoringTotalBytes",
    name: "headrace_restoring_total_bytes",
    kind: "gauge",
    help: "Of a restore under way: all of it, as far as is known"
  },
  {
    metric: "restoringMs",
    name: "headrace_restoring_ms",
    kind: "gauge",
    help: "How long a restore has been under way"
  },
  {
    metric: "restored",
    name: "headrace_restored_total",
    kind: "counter",
    help: "Entries and records of state put back"
  },
  {
    metric: "tookOver",
    name: "headrace_standby_taken_over_total",
    kind: "counter",
    help: "Partitions that went on from a copy"
  },
  {
    metric: "toFollow",
    name: "headrace_standby_wanted",
    kind: "gauge",
    help: "Partitions of others to keep a copy of"
  },
  {
    metric: "followed",
    name: "headrace_standby_partitions",
    kind: "gauge",
    help: "Partitions of others that are followed"
  },
  { metric: "followedBytes", name: "headrace_standby_state_bytes", kind: "gauge", help: "State of others in memory" },
  {
    metric: "behind",
    name: "headrace_standby_behind_records",
    kind: "gauge",
    help: "Of the copy that is furthest behind: records of its changelog not read at the last look"
  },
  { metric: "phase", name: "headrace_phase", kind: "gauge", help: "Index of what the unit does" }
]

/** Everything in Prometheus' text format: the threads' shared memory, this process, and Effect's own metrics. */
export const renderMetrics = (status: Status): Effect.Effect<string> =>
  Effect.map(PrometheusMetrics.format(), own =>
    [
      ...ofUnits(status),
      ...ofRestores(status),
      ...ofSkew(status),
      ...ofCommits(status),
      ...ofStates(status),
      ...ofStalls(status),
      ...ofCheckpoints(status),
      ...ofAlignment(status),
      ...ofProcess(status),
      own
    ].join("\n")
  )

const ofUnits = (status: Status): string[] =>
  LANE_METRICS.flatMap(family => [
    ...head(family),
    ...status.units.map(
      unit => `${family.name}{${label(unit.kind, unit.name)}} ${number(unit.metrics.get(family.metric))}`
    )
  ])

const ofRestores = ({ units }: Status): string[] =>
  RESTORE_METRICS.flatMap(family => [
    ...head(family),
    ...units.map(
      ({ kind, name, metrics }) => `${family.name}{${label(kind, name)}} ${number(restoreValue(metrics, family))}`
    )
  ])

/** Over all lanes: partitions that are far apart are seldom in one. */
const ofSkew = ({ units }: Status): string[] => {
  const lanes = units.filter(({ kind, metrics }) => kind === "lane" && metrics.get("partitions") > 0)
  const behind = Math.min(...lanes.map(({ metrics }) => metrics.get("watermarkBehind")))
  const ahead = Math.max(...lanes.map(({ metrics }) => metrics.get("watermarkAhead")))
  return single(
    "headrace_watermark_skew_ms",
    "gauge",
    "By how much the source partition that is ahead is ahead of the one that is behind, of those that have had records",
    Math.max(0, ahead - behind)
  )
}

const COMMITS: Family = {
  name: "headrace_commit_ms",
  kind: "histogram",
  help: "From the seal of a transaction to the broker's answer; of a table: of a block"
}

const ofCommits = (status: Status): string[] => [
  ...head(COMMITS),
  ...status.units.flatMap(({ kind, name, metrics }) => {
    const labels = label(kind, name)
    const within = metrics.commitsWithin()
    return [
      ...within.map((count, i) => `${COMMITS.name}_bucket{${labels},le="${number(COMMIT_BOUNDS[i]!)}"} ${count}`),
      `${COMMITS.name}_sum{${labels}} ${number(metrics.get("commitMs"))}`,
      `${COMMITS.name}_count{${labels}} ${within.at(-1)}`
    ]
  })
]

const STATE_METRICS: readonly (Family & { readonly of: keyof OperatorState })[] = [
  { of: "keys", name: "headrace_operator_state_keys", kind: "gauge", help: "Keys, or keys and windows, with state" },
  { of: "bytes", name: "headrace_operator_state_bytes", kind: "gauge", help: "Memory that the state takes" },
  { of: "spilledKeys", name: "headrace_operator_spilled_keys", kind: "gauge", help: "Of the keys: on disk" },
  { of: "spilledBytes", name: "headrace_operator_spilled_bytes", kind: "gauge", help: "Keys and values on disk" }
]

const ofStates = (status: Status): string[] => {
  const states = statesOf(status)
  return STATE_METRICS.flatMap(family => [
    ...head(family),
    ...states.map(state => {
      const { lane, topic, partition, operator } = state
      const labels = `unit="${lane}",topic="${topic}",partition="${partition}",operator="${operator}"`
      return `${family.name}{${labels}} ${number(state[family.of] as number)}`
    })
  ])
}

const STALLED: Family = { name: "headrace_stalled", kind: "gauge", help: "1 while the unit does not get on" }

const ofStalls = (status: Status): string[] => [
  ...head(STALLED),
  ...status.units.map(
    ({ kind, name }) => `${STALLED.name}{${label(kind, name)}} ${number(status.stalled.has(name) ? 1 : 0)}`
  )
]

const ofCheckpoints = ({ checkpoints }: Status): string[] => {
  if (checkpoints === undefined) return []
  const { completed, failed, tookMs } = checkpoints
  const age = checkpoints.ageMs(Date.now()) / 1000
  return [
    ...single(
      "headrace_checkpoints_completed_total",
      "counter",
      "Rounds of checkpoints that were completed",
      completed
    ),
    ...single("headrace_checkpoints_failed_total", "counter", "Rounds of checkpoints that failed", failed),
    ...single("headrace_checkpoint_age_seconds", "gauge", "Since a round of checkpoints was completed", age),
    ...single("headrace_checkpoint_duration_seconds", "gauge", "Of the last round that was completed", tookMs / 1000)
  ]
}

const ofAlignment = ({ elsewhere }: Status): string[] =>
  elsewhere === undefined
    ? []
    : single(
        "headrace_alignment_failed_looks_total",
        "counter",
        "Times that it could not be read what aligned partitions of other processes have come to",
        elsewhere.failed
      )

const ofProcess = (status: Status): string[] => [
  ...single("process_resident_memory_bytes", "gauge", "Resident memory", process.memoryUsage.rss()),
  ...single("process_cpu_seconds_total", "counter", "CPU time", cpuSeconds()),
  ...single("process_start_time_seconds", "gauge", "Start of the process", status.startedAt / 1000),
  ...single("headrace_startup_ms", "gauge", "From the start of the process until every unit ran", status.startupMs),
  ...single("headrace_ready", "gauge", "1 while every unit runs", status.reasons().length === 0 ? 1 : 0),
  ...single("headrace_restarts_total", "counter", "Units started again", total(status.restarts))
]

const total = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((sum, n) => sum + n, 0)

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

const single = (name: string, kind: Kind, help: string, value: number): string[] => [
  ...head({ name, kind, help }),
  `${name} ${number(value)}`
]
const head = ({ name, kind, help }: Family): string[] => [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`]
const label = (kind: string, name: string): string => `kind="${kind}",unit="${name}"`
const number = (value: number): string =>
  Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN"
