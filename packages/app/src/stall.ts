import { NO_RECORD, PHASES, type Phase, type WorkerKind } from "@headrace/engine"
import type { Server } from "./preflight.ts"
import type { Watchable } from "./unit.ts"

const READ = [
  "beats",
  "commits",
  "aborts",
  "restores",
  "restoreFailures",
  "restored",
  "recordsIn",
  "lag",
  "bufferedBytes",
  "inFlight",
  "blocked",
  "restoringBytes",
  "restoringTotalBytes",
  "source",
  "partition",
  "offset"
] as const

/** What the watchdog reads of a unit. `at`: in ms, when. */
export type Sample = Readonly<Record<(typeof READ)[number], number>> & {
  readonly at: number
  readonly kind: WorkerKind
  readonly phase: Phase
}

export const sampleOf = ({ kind, metrics }: Pick<Watchable, "kind" | "metrics">, at: number): Sample => ({
  ...(Object.fromEntries(READ.map(name => [name, metrics.get(name)])) as Record<(typeof READ)[number], number>),
  at,
  kind,
  phase: PHASES[metrics.get("phase")] ?? "starting"
})

/** All that the samples of one run of a unit come to. */
export interface Watched {
  readonly now: Sample
  /** The last one at which the thread had shown life. */
  readonly alive: Sample
  /** The last one at which something had been committed, or there was nothing to do. */
  readonly settled: Sample
  /** The last one at which the work had got on: that, or state had come back. */
  readonly moved: Sample
  /** The last one at which it was not at its work, or showed no life. */
  readonly away: Sample
  /** For how long, in ms, it has been at its work and got on with it. */
  readonly healthyMs: number
}

/** A unit that lives, but does not get on. */
export interface Stall {
  readonly forMs: number
  /** How many times as long as others it may take. */
  readonly patience: number
  /** The servers one of which may explain it by being away: none, where its thread does not come back from a call. */
  readonly waitsFor: readonly Server[]
  readonly reason: string
}

/** Time begins to count here; that it was healthy before is not forgotten. */
export const begun = (sample: Sample, healthyMs = 0): Watched => ({
  now: sample,
  alive: sample,
  settled: sample,
  moved: sample,
  away: sample,
  healthyMs
})

export const seen = (watched: Watched, sample: Sample): Watched => {
  const { now, alive, settled, moved, healthyMs } = watched
  const settles = idle(sample) || sample.commits !== settled.commits
  const lives = LIFE.some(name => now[name] !== sample[name])
  const away = lives && AT_WORK.has(sample.phase) ? watched.away : sample
  return {
    away,
    // What comes to nothing in the end, a restore or a record that is waited for, is not part of it.
    healthyMs: settles ? healthyMs + sample.at - Math.max(settled.at, away.at) : healthyMs,
    now: sample,
    alive: lives ? sample : alive,
    settled: settles ? sample : settled,
    moved: settles || answered(now, sample) || (restores(now, sample) && !circles(settled, sample)) ? sample : moved
  }
}

const LIFE = ["beats", "restored", "recordsIn", "source", "partition", "offset"] as const

/** Phases in which a unit has nothing to do. One that the group gives nothing is `spare`. */
const AT_REST: ReadonlySet<Phase> = new Set(["spare", "following", "failed", "stopped"])

/** Phases in which a unit is well if it commits what there is. */
const AT_WORK: ReadonlySet<Phase> = new Set(["running", "spare", "following"])

/** Phases in which a unit waits for others, which may take longer: the group, or a server that fails its calls. */
const WAITS: ReadonlySet<Phase> = new Set(["joining", "waiting"])
const PATIENCE = 5

/** What it waited for has come. */
const answered = (before: Sample, now: Sample): boolean => WAITS.has(before.phase) && !WAITS.has(now.phase)

const idle = ({ phase, lag, blocked, bufferedBytes, inFlight }: Sample): boolean =>
  AT_REST.has(phase) || (phase === "running" && lag <= blocked && bufferedBytes === 0 && inFlight === 0)

const RESTORES = ["restored", "restores", "restoreFailures"] as const
const restores = (before: Sample, now: Sample): boolean => RESTORES.some(name => now[name] !== before[name])

/** Failed transactions in a row after which state that comes back is no progress. */
const CIRCLE = 3
const circles = (settled: Sample, now: Sample): boolean => now.aborts - settled.aborts >= CIRCLE

/**
 * Whether it has stood still for this long (while it waits for others: several times as long), and why, as far as can be
 * told. `sources`: topics, by their number.
 */
export const stallOf = (
  { now, alive, settled, moved }: Watched,
  afterMs: number,
  sources: readonly string[]
): Stall | undefined => {
  const silentMs = now.at - alive.at
  if (silentMs >= afterMs) return { forMs: silentMs, patience: 1, waitsFor: [], reason: hanging(now, sources) }
  const forMs = now.at - moved.at
  const patience = WAITS.has(now.phase) ? PATIENCE : 1
  if (forMs < afterMs * patience) return undefined
  return { forMs, patience, waitsFor: waitsFor(now), reason: `${likely(settled, moved, now)}${behind(moved, now)}` }
}

/** A lane does not wait for ClickHouse, and what is out already for no schema. */
const waitsFor = ({ kind, phase, inFlight, bufferedBytes }: Sample): readonly Server[] => {
  if (phase === "running" && inFlight > 0) return []
  const theirs: readonly Server[] = kind === "clickhouse" ? ["kafka", "clickhouse"] : ["kafka"]
  const reads = phase === "starting" || phase === "waiting" || (phase === "running" && bufferedBytes === 0)
  return reads ? [...theirs, "registry"] : theirs
}

const hanging = ({ source, partition, offset }: Sample, sources: readonly string[]): string =>
  offset === NO_RECORD
    ? "its thread hangs in a call that does not come back"
    : `its thread hangs in the pipeline's functions at ${sources[source] ?? "source"}/${partition} offset ${offset}`

const likely = (settled: Sample, moved: Sample, now: Sample): string => {
  if (circles(settled, now))
    return `all of its last ${now.aborts - settled.aborts} transactions failed (its warnings say why)`
  switch (now.phase) {
    case "restoring":
      return `it restores state${far(now)} and gets nothing more (a call to a broker that does not come back, committed offsets that are not stable, or a rebalance that does not end)`
    case "joining":
      return "its group does not let it in (the coordinator does not answer, or another member does not give partitions back)"
    case "waiting":
      return "a server does not do what it is asked, again and again"
    case "starting":
      return "it does not get started (a producer's session, a schema or a service of the pipeline does not come)"
    case "stopping":
      return "it has to give partitions back and cannot commit what is open (a rebalance waits for it)"
    default:
      return running(moved, now)
  }
}

const far = ({ restoringBytes, restoringTotalBytes }: Sample): string =>
  restoringTotalBytes === 0 ? "" : ` (${restoringBytes} of ${restoringTotalBytes} bytes)`

const running = (moved: Sample, now: Sample): string => {
  if (now.inFlight > 0) return `${now.inFlight} records wait in asynchronous steps that do not finish`
  if (now.bufferedBytes > 0) return `${now.bufferedBytes} bytes of output are not taken by their server`
  if (now.recordsIn !== moved.recordsIn) return "it reads records, but nothing is committed"
  return "it reads nothing, though there is something to read"
}

const behind = (moved: Sample, { lag }: Sample): string =>
  lag === 0 ? "" : `; lag ${lag}${lag > moved.lag ? `, ${lag - moved.lag} more than before` : ""}`
