import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { messageOf } from "@headrace/core"
import { consumerSessionMs } from "@headrace/dev"
import pkg from "../package.json" with { type: "json" }
import { ensureIndependentClient } from "../src/audit/node.ts"
import { Random } from "../src/generator/random.ts"
import { Clocks, Disk } from "./machine.ts"
import { fromSources, job as usualJob } from "./place.ts"
import type { Planned } from "./plan.ts"
import { Precedence } from "./precedence.ts"
import { type ChaosReport, type Injection, type Missed, reportOf, sumOf } from "./report.ts"
import { type GroupProtocol, type Mark, World } from "./world.ts"

const PATIENCE_MS = 90_000

export interface ChaosOptions {
  readonly seed: number
  readonly stages: readonly Stage[]
  /** Events a second. */
  readonly rate: number
  /** Of a classic group; with KIP-848 the session is the broker's. */
  readonly sessionMs: number
  /** Of the group; classic. */
  readonly protocol?: GroupProtocol
  /** Lanes of each instance that follow what others own; none. */
  readonly standby?: number
  /** The run's processes come before whatever else the machine does; they do not. */
  readonly first?: boolean
  /** How long a fault may take to recover, and the end to come out; 90 s. */
  readonly patienceMs?: number
  /** Headrace itself, if not run from its sources. */
  readonly program?: readonly string[]
  /** The pipeline's module, if not the usual one. */
  readonly job?: string
  /** Whether the logs of a run that did not pass are kept; they are. */
  readonly keepLogs?: boolean
  readonly say: (line: string) => void
  /** Ends the run early, with what was found so far. */
  readonly signal: AbortSignal
}

/** A part of a run, with servers, processes and topics of its own. */
export interface Stage {
  readonly brokers: 1 | 3
  readonly plan: Iterable<Planned>
  /** No fault begins later than this after the stage's start. */
  readonly forMs: number
  readonly accounts: number
}

/** Stage by stage: faults one after the other, each until it has recovered; then the audit. */
export const runChaos = async (options: ChaosOptions): Promise<ChaosReport> => {
  await ensureIndependentClient()
  const reports: ChaosReport[] = []
  const precedence = options.first === true ? new Precedence() : undefined
  try {
    for (const stage of options.stages)
      if (!options.signal.aborted) reports.push(await runStage(options, stage, precedence))
  } finally {
    precedence?.end()
  }
  return sumOf(reports)
}

const runStage = async (
  options: ChaosOptions,
  stage: Stage,
  precedence: Precedence | undefined
): Promise<ChaosReport> => {
  const directory = mkdtempSync(join(tmpdir(), "headrace-chaos-"))
  const disk = new Disk(directory)
  let passed = false
  try {
    const report = await judge(options, stage, {
      ...{ directory, disk, clocks: new Clocks(directory) },
      ...(precedence === undefined ? {} : { precedence })
    })
    passed = report.passed
    return report
  } finally {
    disk.close()
    if (passed || options.keepLogs === false) rmSync(directory, { recursive: true, force: true })
    else options.say(`logs are kept in ${directory}`)
  }
}

const judge = async (options: ChaosOptions, stage: Stage, machine: Machine): Promise<ChaosReport> => {
  const startedAt = Date.now()
  const { seed, rate, say, signal } = options
  const { accounts, brokers } = stage
  const { program = fromSources, job = usualJob, patienceMs = PATIENCE_MS } = options
  const { protocol = "classic", standby = 0 } = options
  const sessionMs = protocol === "consumer" ? consumerSessionMs : options.sessionMs
  const how = { program, job, accounts, brokers, rate, seed, sessionMs, protocol, standby, patienceMs }
  const world = await World.start({ ...how, say, signal, ...machine })
  try {
    const found = await injectAll(world, stage.plan, startedAt + stage.forMs)
    say("draining and auditing")
    await world.drain()
    const { sent, planted } = world.feed
    return reportOf({
      ...{ seed, accounts, brokers, sessionMs, sent, planted, startedAt, ...found },
      due: world.feed.alerts(),
      version: pkg.version,
      kafka: await world.follower.result(sent),
      clickhouse: await world.tables.audit(sent),
      open: await world.follower.open(),
      problems: world.problems,
      endedAt: Date.now()
    })
  } finally {
    await world.close()
  }
}

interface Machine {
  readonly directory: string
  readonly disk: Disk
  readonly clocks: Clocks
  readonly precedence?: Precedence
}

const injectAll = async (world: World, plan: Iterable<Planned>, until: number) => {
  const { signal, say } = world.options
  const injections: Injection[] = []
  const missed: Missed[] = []
  for (const planned of plan) {
    if (signal.aborted || Date.now() >= until) break
    try {
      const injection = await inject(world, planned)
      // One that was interrupted proves nothing.
      if (!signal.aborted) injections.push(injection)
    } catch (error) {
      if (signal.aborted) break
      world.follower.check()
      const why = messageOf(error)
      missed.push({ fault: planned.fault, why })
      say(`missed: ${planned.fault.name}: ${why}`)
    }
  }
  return { injections, missed }
}

/** What shows in ClickHouse shows in Kafka before; and what shows there is to show in ClickHouse, which is waited for beside the next fault. */
const recovery = async (world: World, mark: Mark, { where, name }: Planned["fault"]) => {
  if (where === "clickhouse") {
    const [shownMs, committedMs] = await Promise.all([world.recovered(mark, where), world.recovered(mark, "kafka")])
    return { recoveryMs: committedMs === undefined ? undefined : shownMs, committedMs }
  }
  const recoveryMs = await world.recovered(mark, where)
  world.showsInTables(mark, name)
  return { recoveryMs, committedMs: undefined }
}

/** Everything that is sent from here until the next fault belongs to this one. */
const inject = async (world: World, { fault, seed }: Planned): Promise<Injection> => {
  const from = world.feed.sent
  const { mark, settle } = await fault.inject({ world, random: new Random(seed) })
  const { recoveryMs, committedMs } = await recovery(world, mark, fault)
  await settle?.()
  const to = world.feed.sent
  const how = recoveryMs === undefined ? "has NOT recovered" : `recovered in ${Math.round(recoveryMs)} ms`
  const committed = committedMs === undefined ? "" : ` (committed in Kafka in ${Math.round(committedMs)} ms)`
  world.options.say(`${fault.name}: ${how}${committed}; ${world.follower.records} of ${to} events came out`)
  return { fault, from, to, recoveryMs, ...(committedMs === undefined ? {} : { committedMs }) }
}
