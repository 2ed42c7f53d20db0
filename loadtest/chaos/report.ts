import { type AlertCounts, type Alerts, type AlertsByRule, judge, judgeByRule } from "../src/measure/alerts.ts"
import type { AlertName } from "../src/scenarios/payments/due.ts"
import type { Followed } from "./audit/follower.ts"
import type { TableAudit } from "./audit/tables.ts"
import type { Fault } from "./faults/fault.ts"

/** One injection, and the events that were sent from its beginning to that of the next. */
export interface Injection {
  readonly fault: Fault
  readonly from: number
  readonly to: number
  /** Undefined: it never recovered. */
  readonly recoveryMs: number | undefined
  /** Where that shows in ClickHouse: until records of all partitions were committed in Kafka. */
  readonly committedMs?: number
}

/** One that could not be injected. */
export interface Missed {
  readonly fault: Fault
  readonly why: string
}

/** What of an audit is wrong, as ids of events. */
export interface Wrong {
  readonly lost: readonly number[]
  readonly duplicated: readonly number[]
  readonly disordered: readonly number[]
}

export interface Times {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface FaultRow {
  readonly fault: string
  readonly brokers: number
  readonly injected: number
  readonly events: number
  readonly lost: number
  readonly duplicated: number
  readonly disordered: number
  readonly unrecovered: number
  readonly recovery_ms: Times
  /** Where recovery shows in ClickHouse: until records of all partitions were committed in Kafka. */
  readonly committed_ms?: Times
  /** Where recovery waits for a session to end: of the times above, this much is its time-out. */
  readonly session_timeout_ms?: number
}

/** The JSON of `--report`. */
export interface ChaosReport {
  readonly seed: number
  readonly version: string
  readonly started: string
  readonly duration_ms: number
  readonly events: number
  readonly accounts: number
  readonly lost: number
  readonly duplicated: number
  readonly disordered: number
  /** The same of each place. `wrong_state`: records whose state does not follow from the record before them. */
  readonly kafka: PlaceCounts
  readonly clickhouse: PlaceCounts
  readonly alerts: AlertAudit
  readonly totals: Readonly<Record<Fault["group"], number>>
  readonly faults: readonly FaultRow[]
  /** Partitions in which a transaction was open at the end. */
  readonly open_transactions: readonly string[]
  /** What else was wrong, in words. */
  readonly problems: readonly string[]
  /** Faults that could not be injected, and why. */
  readonly missed: readonly string[]
  readonly passed: boolean
}

interface PlaceCounts {
  readonly records: number
  readonly lost: number
  readonly duplicated: number
  readonly disordered: number
  readonly wrong_state: number
}

/** The alerts that came, against those that are due for what was planted. */
export interface AlertAudit {
  /** Sequences that were planted, those included that only nearly match. */
  readonly planted: number
  readonly kafka: PlaceAlerts
  readonly clickhouse: PlaceAlerts
  /** In Kafka. */
  readonly by_rule: AlertsByRule
}

interface PlaceAlerts extends AlertCounts {
  /** Of the false ones, those that came before. */
  readonly duplicated: number
}

export interface Findings {
  readonly seed: number
  readonly version: string
  readonly startedAt: number
  readonly endedAt: number
  readonly sent: number
  readonly planted: number
  /** The alerts that are due. */
  readonly due: readonly AlertName[]
  readonly accounts: number
  readonly sessionMs: number
  readonly brokers: number
  readonly injections: readonly Injection[]
  readonly kafka: Followed
  readonly clickhouse: TableAudit
  readonly open: readonly string[]
  readonly problems: readonly string[]
  readonly missed: readonly Missed[]
}

export const reportOf = (found: Findings): ChaosReport => {
  const kafka = { ...found.kafka, lost: found.kafka.missing }
  const clickhouse = { ...found.clickhouse, lost: found.clickhouse.missing }
  const places = [inKafka(found.kafka), inClickHouse(found.clickhouse, found.sent)] as const
  const faults = rowsOf(found, [kafka, clickhouse])
  const sum = (of: (place: PlaceCounts) => number) => places.reduce((total, place) => total + of(place), 0)
  const unrecovered = faults.reduce((total, row) => total + row.unrecovered, 0)
  const counts = {
    lost: sum(place => place.lost),
    duplicated: sum(place => place.duplicated),
    disordered: sum(place => place.disordered)
  }
  const problems = [...found.problems, ...neverInjected(found), ...alertProblems(found)]
  const wrong = counts.lost + counts.duplicated + counts.disordered + sum(place => place.wrong_state)
  return {
    seed: found.seed,
    version: found.version,
    started: new Date(found.startedAt).toISOString(),
    duration_ms: found.endedAt - found.startedAt,
    events: found.sent,
    accounts: found.accounts,
    ...counts,
    kafka: places[0],
    clickhouse: places[1],
    alerts: alertsOf(found),
    totals: totalsOf(found.injections),
    faults,
    open_transactions: found.open,
    problems,
    missed: found.missed.map(({ fault, why }) => `${fault.name}: ${why}`),
    passed: wrong === 0 && unrecovered === 0 && found.open.length === 0 && problems.length === 0
  }
}

/** A run in which a fault was to come, and never came, says nothing about it. */
const neverInjected = ({ injections, missed }: Findings): readonly string[] => {
  const injected = new Set(injections.map(({ fault }) => fault.name))
  const never = missed.filter(({ fault }) => !injected.has(fault.name))
  return [...new Map(never.map(({ fault, why }) => [fault.name, `never injected: ${fault.name} (${why})`])).values()]
}

const alertsOf = ({ planted, due, kafka, clickhouse }: Findings): AlertAudit => ({
  planted,
  kafka: alertsIn(due, kafka.alerts),
  clickhouse: alertsIn(due, clickhouse.alerts),
  by_rule: judgeByRule(due, kafka.alerts)
})

const alertsIn = (due: readonly AlertName[], came: Alerts): PlaceAlerts => ({
  ...judge(due, came),
  duplicated: [...came.values()].reduce((copies, times) => copies + times - 1, 0)
})

const alertProblems = ({ due, kafka, clickhouse }: Findings): readonly string[] => [
  ...problemsIn("Kafka", due, kafka.alerts),
  ...problemsIn("ClickHouse", due, clickhouse.alerts)
]

/** What is wrong by name: whoever looks for the reason has to know which. */
const problemsIn = (place: string, due: readonly AlertName[], came: Alerts): readonly string[] => {
  const isDue = new Set(due)
  const missing = due.filter(name => !came.has(name))
  const doubled = [...came].flatMap(([name, times]) => (times > 1 ? [name] : []))
  const uncalled = [...came.keys()].filter(name => !isDue.has(name))
  const said = { "missing in": missing, "more than once in": doubled, "not due, but in": uncalled }
  return Object.entries(said).flatMap(([what, names]) =>
    names.length === 0 ? [] : [`alerts ${what} ${place}: ${names.length} (${some(names)})`]
  )
}

const NAMED = 5
const some = (names: readonly string[]): string =>
  `${names.slice(0, NAMED).join(", ")}${names.length > NAMED ? ", …" : ""}`

/** Of the stages of one run, which have no fault in common but kills and zombies. */
export const sumOf = (reports: readonly ChaosReport[]): ChaosReport => {
  const [first, ...rest] = reports
  if (first === undefined) throw new Error("the run was interrupted before anything was started")
  return rest.reduce(both, first)
}

const both = (a: ChaosReport, b: ChaosReport): ChaosReport => ({
  seed: a.seed,
  version: a.version,
  started: a.started,
  duration_ms: a.duration_ms + b.duration_ms,
  events: a.events + b.events,
  accounts: a.accounts,
  lost: a.lost + b.lost,
  duplicated: a.duplicated + b.duplicated,
  disordered: a.disordered + b.disordered,
  kafka: plus(a.kafka, b.kafka),
  clickhouse: plus(a.clickhouse, b.clickhouse),
  alerts: plus(a.alerts, b.alerts),
  totals: plus(a.totals, b.totals),
  faults: [...a.faults, ...b.faults],
  open_transactions: [...a.open_transactions, ...b.open_transactions],
  problems: [...a.problems, ...b.problems],
  missed: [...a.missed, ...b.missed],
  passed: a.passed && b.passed
})

/** Number by number, however deep they lie. */
const plus = <A>(a: A, b: A): A =>
  typeof a === "number"
    ? ((a + (b as number)) as A)
    : (Object.fromEntries(
        Object.keys(a as object).map(name => [name, plus(a[name as keyof A], b[name as keyof A])])
      ) as A)

const inKafka = ({ records, counts }: Followed): PlaceCounts => ({
  records,
  lost: counts.missing,
  duplicated: counts.duplicated,
  disordered: counts.disordered,
  wrong_state: counts.wrong
})

const inClickHouse = ({ rows, ids, disordered, wrong }: TableAudit, sent: number): PlaceCounts => ({
  records: rows,
  lost: sent - ids,
  duplicated: rows - ids,
  disordered: disordered.length,
  wrong_state: wrong.length
})

const totalsOf = (injections: readonly Injection[]): ChaosReport["totals"] => {
  const totals = { kill: 0, zombie: 0, late: 0, broker: 0, other: 0 }
  for (const { fault } of injections) totals[fault.group]++
  return totals
}

const rowsOf = ({ injections, sessionMs, brokers }: Findings, places: readonly Wrong[]): FaultRow[] =>
  [...Map.groupBy(injections, ({ fault }) => fault.name)]
    .map(([fault, all]) => ({ fault, brokers, ...rowOf(all, places, sessionMs) }))
    .sort((a, b) => a.fault.localeCompare(b.fault))

const rowOf = (
  all: readonly Injection[],
  places: readonly Wrong[],
  sessionMs: number
): Omit<FaultRow, "fault" | "brokers"> => {
  const within = (id: number) => all.some(({ from, to }) => from <= id && id < to)
  const count = (of: (place: Wrong) => readonly number[]) =>
    places.reduce((sum, place) => sum + of(place).filter(within).length, 0)
  const recoveries = all.flatMap(({ recoveryMs }) => recoveryMs ?? [])
  const commits = all.flatMap(({ committedMs }) => committedMs ?? [])
  return {
    injected: all.length,
    events: all.reduce((sum, { from, to }) => sum + to - from, 0),
    lost: count(place => place.lost),
    duplicated: count(place => place.duplicated),
    disordered: count(place => place.disordered),
    unrecovered: all.length - recoveries.length,
    recovery_ms: timesOf(recoveries),
    ...(commits.length > 0 ? { committed_ms: timesOf(commits) } : {}),
    ...(all[0]!.fault.session === true ? { session_timeout_ms: sessionMs } : {})
  }
}

const timesOf = (all: readonly number[]): Times => {
  const sorted = all.toSorted((a, b) => a - b)
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: quantile(sorted, 1) }
}

/** Of sorted times; the larger neighbour. */
const quantile = (sorted: readonly number[], q: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0)
