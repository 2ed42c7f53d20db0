import { type Elsewhere, type LaneMetrics, PHASES, type Phase, type Whereabouts } from "@headrace/engine"
import type { Checkpoints } from "./checkpoints.ts"
import type { Unit } from "./unit.ts"

/** Source topics and ids of nodes, in the plan's order. */
export interface PlanNames {
  readonly sources: readonly string[]
  readonly nodes: readonly string[]
}

/** Also with nothing to do: a lane more than there are partitions is `spare`, and takes over when another one goes. */
const READY: ReadonlySet<Phase> = new Set(["running", "spare"])

/** What the main thread knows about the run, for health and metrics. Written by `run`, read by the server. */
export class Status {
  readonly app: string
  readonly startedAt = Date.now() - process.uptime() * 1000
  readonly units: readonly Unit[]
  /** What the numbers in the units' state sizes stand for. */
  readonly plan: PlanNames
  readonly restarts = new Map<string, number>()
  /** What is being waited for, by name, with the reason. */
  readonly waiting = new Map<string, string>()
  /** Units that stand still, with the reason. */
  readonly stalled = new Map<string, string>()
  /** Units of which one partition stands still while others go on, with the reason. */
  readonly standing = new Map<string, string>()
  /** Where this process writes some. */
  checkpoints: Checkpoints | undefined
  /** Where sources are aligned: what is known of partitions of other processes. */
  elsewhere: Elsewhere | undefined
  forced = 0
  /** Which of the job's partitions this process has, and which have come to rest; undefined before they are known. */
  whereabouts: Whereabouts | undefined
  /** From the start of the process until every unit ran for the first time; NaN before. */
  startupMs = Number.NaN

  constructor(app: string, units: readonly Unit[], plan: PlanNames = { sources: [], nodes: [] }) {
    this.app = app
    this.units = units
    this.plan = plan
  }

  phase(unit: Unit): Phase {
    return PHASES[unit.metrics.get("phase")] ?? "starting"
  }

  /** Why the job does not process at the moment; empty when every unit runs. */
  reasons(): string[] {
    const waiting = [...this.waiting].map(([name, reason]) => `${name}: ${reason}`)
    const idle = this.units
      .filter(unit => !READY.has(this.phase(unit)))
      .map(unit => `${unit.name} is ${this.phase(unit)}${detail(unit.metrics)}`)
    return [...waiting, ...this.stalls(), ...idle]
  }

  /** Why the job as a whole cannot end in this process; undefined if it can. */
  unfit(): string | undefined {
    // First: a lane may not run because of it.
    const lacks = this.lacks()
    if (lacks !== undefined) return lacks
    const reasons = this.reasons()
    return reasons.length > 0 ? `${this.app} is not running: ${reasons.join("; ")}` : undefined
  }

  /** Which partitions this process lacks, though its lanes run, and what is to be done about that; undefined if it has all. */
  lacks(): string | undefined {
    const { missing, later } = this.whereabouts ?? { missing: [], later: [] }
    if (later.length > 0)
      return `${some(later)} came after this process had started, which knows the partitions of ${this.app} from then: start it again`
    const lanes = this.units.filter(({ kind }) => kind === "lane")
    if (missing.length === 0 || !lanes.every(lane => READY.has(this.phase(lane)))) return undefined
    return `this process does not have ${some(missing)}, other instances of ${this.app} do: stop those first`
  }

  /** What a person should look at, though the job processes. */
  warnings(): string[] {
    const warnings = [this.checkpoints?.warning(Date.now()), this.elsewhere?.warning]
    const standing = [...this.standing].map(([name, reason]) => `${name}: ${reason}`)
    return [...standing, ...warnings.filter(warning => warning !== undefined)]
  }

  /** Some partition is not read since it is ahead of others. */
  get holdsBack(): boolean {
    return this.units.some(({ metrics }) => metrics.get("heldBack") > 0)
  }

  /** What lives, but does not get on, and why. */
  stalls(): string[] {
    return [...this.stalled].map(([name, reason]) => `${name}: ${reason}`)
  }

  /** A unit stands still for this reason; without one it gets on again. */
  stall(unit: string, reason: string | undefined): void {
    if (reason === undefined) this.stalled.delete(unit)
    else this.stalled.set(unit, reason)
  }

  /** One partition of a unit stands still for this reason; without one all of them get on again. */
  stand(unit: string, reason: string | undefined): void {
    if (reason === undefined) this.standing.delete(unit)
    else this.standing.set(unit, reason)
  }

  restarted(unit: string): void {
    this.restarts.set(unit, (this.restarts.get(unit) ?? 0) + 1)
  }
}

const NAMED = 5

/** The first few of many names. */
const some = (names: readonly string[]): string => {
  const more = names.length - NAMED
  return names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more partitions` : "")
}

const MB = 1e6

/** How far a restore is, and what a unit that does not run complained of last. */
const detail = (metrics: LaneMetrics): string => {
  const total = metrics.get("restoringTotalBytes")
  const done = total === 0 ? "" : ` (${mb(metrics.get("restoringBytes"))} of ${mb(total)} MB)`
  const { said } = metrics.warning
  const seconds = said === undefined ? 0 : Math.max(0, Math.round((Date.now() - said.at) / 1000))
  return said === undefined ? done : `${done}, its last warning ${seconds} s ago: ${said.text}`
}

const mb = (bytes: number): string => (bytes / MB).toFixed(1)
