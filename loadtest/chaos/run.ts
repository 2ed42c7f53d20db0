import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import pkg from "../package.json" with { type: "json" }
import { Random } from "../src/generator/random.ts"
import { ensureAuditor } from "./audit/node.ts"
import { job } from "./place.ts"
import type { Planned } from "./plan.ts"
import { type ChaosReport, type Injection, reportOf } from "./report.ts"
import { World } from "./world.ts"

export interface ChaosOptions {
  readonly seed: number
  readonly plan: Iterable<Planned>
  /** No fault begins after this. */
  readonly forMs: number
  readonly accounts: number
  /** Events a second. */
  readonly rate: number
  readonly sessionMs: number
  /** The pipeline's module, if not the usual one. */
  readonly job?: string
  readonly say: (line: string) => void
  /** Ends the run early, with what was found so far. */
  readonly signal: AbortSignal
}

/** One run: faults one after the other, each until it has recovered; then the audit. */
export const runChaos = async (options: ChaosOptions): Promise<ChaosReport> => {
  await ensureAuditor()
  const startedAt = Date.now()
  const directory = mkdtempSync(join(tmpdir(), "headrace-chaos-"))
  const { seed, accounts, rate, sessionMs, say, signal } = options
  const world = await World.start({
    ...{ accounts, rate, seed, sessionMs, say, signal, directory },
    job: options.job ?? job,
    checkpoints: join(directory, "checkpoints"),
    env: {}
  })
  let passed = false
  try {
    const { injections, missed } = await injectAll(world, options, startedAt + options.forMs)
    say("draining and auditing")
    await world.drain()
    const { sent } = world.feed
    const report = reportOf({
      ...{ seed, accounts, sessionMs, sent, injections, missed, startedAt },
      version: pkg.version,
      kafka: await world.follower.result(sent),
      clickhouse: await world.tables.audit(sent),
      open: await world.follower.open(),
      problems: world.problems,
      endedAt: Date.now()
    })
    passed = report.passed
    return report
  } finally {
    await world.close()
    if (passed) rmSync(directory, { recursive: true, force: true })
    else say(`logs are kept in ${directory}`)
  }
}

const injectAll = async (world: World, options: ChaosOptions, until: number) => {
  const injections: Injection[] = []
  const missed: string[] = []
  for (const planned of options.plan) {
    if (options.signal.aborted || Date.now() >= until) break
    try {
      injections.push(await inject(world, planned, options.say))
    } catch (error) {
      if (options.signal.aborted) break
      world.follower.check()
      missed.push(`${planned.fault.name}: ${error instanceof Error ? error.message : error}`)
      options.say(`missed: ${missed.at(-1)}`)
    }
  }
  return { injections, missed }
}

/** Everything that is sent from here until the next fault belongs to this one. */
const inject = async (world: World, { fault, seed }: Planned, say: (line: string) => void): Promise<Injection> => {
  const from = world.feed.sent
  const { mark, settle } = await fault.inject({ world, random: new Random(seed) })
  const recoveryMs = await world.recovered(mark, fault.where)
  await settle?.()
  const to = world.feed.sent
  const how = recoveryMs === undefined ? "has NOT recovered" : `recovered in ${Math.round(recoveryMs)} ms`
  say(`${fault.name}: ${how}; ${world.follower.records} of ${to} events came out`)
  return { fault, from, to, recoveryMs }
}
