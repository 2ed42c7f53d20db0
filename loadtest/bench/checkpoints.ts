// Latency with checkpoints being written beside latency without: `bun loadtest/bench/checkpoints.ts`

import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { startKafka, startRegistry } from "@headrace/dev"
import type { JobConfig } from "@headrace/engine"
import { Effect } from "effect"
import { defaults, ensureTopics, type LoadOptions, type Quantiles, runLoad } from "../src/index.ts"
import { count } from "../src/text.ts"
import { median } from "./figures.ts"
import { type Running, startRun } from "./process.ts"
import type { Kind, Order } from "./rounds.ts"

/**
 * The payments pipeline with state for a million accounts, under load. Stretches of the run take turns: nothing beside the load;
 * the state being written, round after round, by the very task that the supervisor starts once a minute, which writes what has
 * changed; and all of the state being written in each round.
 */
const { values: flags } = parseArgs({
  options: {
    accounts: { type: "string", default: "1000000" },
    rate: { type: "string", default: "20000" },
    /** Seconds of each stretch. */
    stretch: { type: "string", default: "15" },
    /** Of each: without, changes, full. */
    turns: { type: "string", default: "5" }
  }
})
const accounts = Number(flags.accounts)
const lanes = availableParallelism()
const FILL_RATE = 60_000
/** The pipeline by itself writes none meanwhile. */
const DAY = "24 hours"
/** The default: a round that takes a quarter of it goes on faster. */
const INTERVAL_MS = 60_000
const READY_WITHIN_MS = 60_000
/** Runs the pipeline, and writes rounds of checkpoints when it is told to. */
const WRITER = fileURLToPath(new URL("./rounds.ts", import.meta.url))

const untilReady = async ({ url, child, said }: Running): Promise<void> => {
  const deadline = performance.now() + READY_WITHIN_MS
  while (
    !(await fetch(`${url}/health/ready`).then(
      answer => answer.ok,
      () => false
    ))
  ) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`the pipeline did not start:\n${said()}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** Rounds of checkpoints one after the other in the pipeline's process, until the answer is called: how many were begun. */
const writing = ({ child, said }: Running, job: JobConfig, kind: Kind) => {
  const tell = (order: Order) => child.send(order)
  tell({ write: kind, job })
  return (): Promise<number> =>
    new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`the pipeline ended:\n${said()}`))
      child.once("exit", ended)
      child.once("message", rounds => {
        child.off("exit", ended)
        resolve(Number(rounds))
      })
      tell({ write: "nothing" })
    })
}

interface Beside {
  readonly latency: Quantiles
  /** That were begun meanwhile. */
  readonly rounds: number
}
interface Row extends Readonly<Record<Kind, Beside>> {
  readonly without: Quantiles
}

const figures = (rows: readonly Row[], quantile: "p50" | "p99" | "p999" | "max"): object => {
  const ms = (kind: Kind) => Math.round(median(rows.map(row => row[kind].latency[quantile])))
  const change = (kind: Kind) => {
    const one = median(rows.map(row => row[kind].latency[quantile] / row.without[quantile] - 1))
    return `${(100 * one).toFixed(0)} %`
  }
  return {
    quantile,
    "ms without": Math.round(median(rows.map(row => row.without[quantile]))),
    "ms, changes": ms("changes"),
    "change, changes": change("changes"),
    "ms, full": ms("full"),
    "change, full": change("full")
  }
}

const run = async (options: LoadOptions, running: Running, config: JobConfig): Promise<void> => {
  const stretch = async (seed: number): Promise<Quantiles> => {
    const { latencyMs, problems } = await Effect.runPromise(runLoad({ ...options, seed }))
    if (problems.length > 0) throw new Error(`the audit found problems:\n${problems.join("\n")}`)
    return latencyMs
  }
  // Uniform draws leave out one account in e^5.
  const fillMs = (5 * accounts * 1000) / FILL_RATE
  console.log(`Filling the state of ${count(accounts)} accounts …`)
  await Effect.runPromise(runLoad({ ...options, rate: FILL_RATE, forMs: fillMs, seed: 1 }))
  await writing(running, config, "changes")()
  let seed = 10
  const beside = async (kind: Kind): Promise<Beside> => {
    const stop = writing(running, config, kind)
    const latency = await stretch(seed++)
    return { latency, rounds: await stop() }
  }
  const rows: Row[] = []
  for (let turn = 1; turn <= Number(flags.turns); turn++) {
    const row = { without: await stretch(seed++), changes: await beside("changes"), full: await beside("full") }
    rows.push(row)
    const shown = (kind: Kind) => `${row[kind].latency.p999} ms beside ${row[kind].rounds} rounds (${kind})`
    console.log(`${turn}: p99.9 ${row.without.p999} ms without, ${shown("changes")}, ${shown("full")}`)
  }
  console.table((["p50", "p99", "p999", "max"] as const).map(quantile => figures(rows, quantile)))
}

const main = async (): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), "headrace-bench-"))
  const [kafka, registry] = await Promise.all([startKafka({ profile: "throughput" }), startRegistry()])
  const access = { kafka: { bootstrap: kafka.bootstrap, settings: {} }, registry: { url: registry.url } }
  const options: LoadOptions = {
    ...defaults,
    ...access,
    accounts,
    zipf: 0,
    rate: Number(flags.rate),
    forMs: 1000 * Number(flags.stretch),
    partitions: 2 * lanes
  }
  await Effect.runPromise(ensureTopics(options))
  const checkpoints = join(directory, "checkpoints")
  const settings = {
    kafka: kafka.bootstrap,
    registry: registry.url,
    app: "payments",
    lanes: String(lanes),
    checkpoints,
    "checkpoint-interval": DAY
  }
  const running = await startRun("./jobs/remembered.ts", join(directory, "log"), settings, WRITER)
  try {
    await untilReady(running)
    await run(options, running, {
      app: "payments",
      instance: "bench",
      module: new URL("./jobs/remembered.ts", import.meta.url).pathname,
      lanes,
      ...access,
      commitIntervalMs: 25,
      checkpoint: { store: { directory: checkpoints }, intervalMs: INTERVAL_MS, retained: 3 },
      state: { laneBytes: Number.MAX_SAFE_INTEGER, directory, full: "stop" },
      sessionTimeoutMs: 10_000,
      lostOffsets: "stop",
      standby: 0,
      replication: 1
    })
  } finally {
    await running.end()
    await Promise.all([kafka.stop(), registry.stop()])
    rmSync(directory, { recursive: true, force: true })
  }
}

await main()
