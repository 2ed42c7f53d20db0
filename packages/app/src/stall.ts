import { type LaneMetrics, NO_RECORD, PHASES, type Phase } from "@headrace/engine"

const READ = [
  "beats",
  "commits",
  "aborts",
  "restores",
  "restored",
  "recordsIn",
  "lag",
  "bufferedBytes",
  "inFlight",
  "blocked",
  "source",
  "partition",
  "offset"
] as const

/** What the watchdog reads of a unit. `at`: in ms, when. */
export type Sample = Readonly<Record<(typeof READ)[number], number>> & { readonly at: number; readonly phase: Phase }

export const sampleOf = (metrics: LaneMetrics, at: number): Sample => ({
  ...(Object.fromEntries(READ.map(name => [name, metrics.get(name)])) as Record<(typeof READ)[number], number>),
  at,
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
}

/** A unit that lives, but does not get on. */
export interface Stall {
  readonly forMs: number
  /** Its thread does not come back from a call: no server that is away explains that. */
  readonly hung: boolean
  readonly reason: string
}

/** Time begins to count here. */
export const begun = (sample: Sample): Watched => ({
  now: sample,
  alive: sample,
  settled: sample,
  moved: sample
})

export const seen = ({ now, alive, settled, moved }: Watched, sample: Sample): Watched => {
  const settles = idle(sample) || sample.commits !== settled.commits
  return {
    now: sample,
    alive: LIFE.some(name => now[name] !== sample[name]) ? sample : alive,
    settled: settles ? sample : settled,
    moved: settles || (restores(now, sample) && !circles(settled, sample)) ? sample : moved
  }
}

const LIFE = ["beats", "restored", "recordsIn", "source", "partition", "offset"] as const

/** Phases in which a unit waits for others, knows it and says it. A unit that the group gives nothing is `spare`. */
const AT_REST: ReadonlySet<Phase> = new Set(["joining", "spare", "waiting", "following", "failed", "stopped"])

const idle = ({ phase, lag, blocked, bufferedBytes, inFlight }: Sample): boolean =>
  AT_REST.has(phase) || (phase === "running" && lag <= blocked && bufferedBytes === 0 && inFlight === 0)

const restores = (before: Sample, now: Sample): boolean =>
  now.restored !== before.restored || now.restores !== before.restores

/** Failed transactions in a row after which state that comes back is no progress. */
const CIRCLE = 3
const circles = (settled: Sample, now: Sample): boolean => now.aborts - settled.aborts >= CIRCLE

/** Whether it has stood still for this long, and why, as far as can be told. `sources`: topics, by their number. */
export const stallOf = (
  { now, alive, settled, moved }: Watched,
  afterMs: number,
  sources: readonly string[]
): Stall | undefined => {
  const silentMs = now.at - alive.at
  if (silentMs >= afterMs) return { forMs: silentMs, hung: true, reason: hanging(now, sources) }
  const forMs = now.at - moved.at
  return forMs < afterMs
    ? undefined
    : { forMs, hung: false, reason: `${likely(settled, moved, now)}${behind(moved, now)}` }
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
      return "it restores state and gets nothing more (a call to a broker that does not come back, committed offsets that are not stable, or a rebalance that does not end)"
    case "starting":
      return "it does not get started (a producer's session, a schema or a service of the pipeline does not come)"
    case "stopping":
      return "it has to give partitions back and cannot commit what is open (a rebalance waits for it)"
    default:
      return running(moved, now)
  }
}

const running = (moved: Sample, now: Sample): string => {
  if (now.inFlight > 0) return `${now.inFlight} records wait in asynchronous steps that do not finish`
  if (now.bufferedBytes > 0) return `${now.bufferedBytes} bytes of output are not taken by their server`
  if (now.recordsIn !== moved.recordsIn) return "it reads records, but nothing is committed"
  return "it reads nothing, though there is something to read"
}

const behind = (moved: Sample, { lag }: Sample): string =>
  lag === 0 ? "" : `; lag ${lag}${lag > moved.lag ? `, ${lag - moved.lag} more than before` : ""}`
