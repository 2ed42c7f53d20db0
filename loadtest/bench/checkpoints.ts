// Latency with checkpoints being written beside latency without: `bun loadtest/bench/checkpoints.ts`

import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { MessageChannel } from "node:worker_threads"
import { startKafka, startRegistry } from "@headrace/dev"
import { type JobConfig, LaneMetrics, type WorkerTask } from "@headrace/engine"
import { Effect } from "effect"
import { digest, Pipeline, toPlan } from "headrace"
import { Piscina } from "piscina"
import { defaults, ensureTopics, type LoadOptions, type Quantiles, runLoad } from "../src/index.ts"
import { count } from "../src/text.ts"
import { median } from "./figures.ts"
import job from "./jobs/remembered.ts"
import { type Running, startRun } from "./process.ts"

/**
 * The payments pipeline with state for a million accounts, under load. Stretches of the run take turns: in every other
 * one the state is being written, round after round, by the very task that the supervisor starts once a minute.
 */
const { values: flags } = parseArgs({
  options: {
    accounts: { type: "string", default: "1000000" },
    rate: { type: "string", default: "20000" },
    /** Seconds of each stretch. */
    stretch: { type: "string", default: "15" },
    pairs: { type: "string", default: "5" }
  }
})
const accounts = Number(flags.accounts)
const lanes = availableParallelism()
const FILL_RATE = 60_000
const DAY = "24 hours"
const READY_WITHIN_MS = 60_000

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

/** Rounds of checkpoints one after the other, until it is told to stop; answers how many were written. */
const writing = (config: JobConfig) => {
  const pool = new Piscina({ filename: new URL("../../workers/task.ts", import.meta.url).href, maxThreads: 1 })
  if (!Pipeline.isPipeline(job)) throw new Error("the bench's job is no pipeline")
  const plan = digest(toPlan(job))
  let going = true
  let rounds = 0
  const once = () => {
    const { port1, port2: control } = new MessageChannel()
    const task: WorkerTask = {
      kind: "checkpoint",
      job: config,
      index: 0,
      metrics: new LaneMetrics().buffer,
      digest: plan,
      control
    }
    return pool.run(task, { transferList: [control] as never }).finally(() => port1.close())
  }
  const loop = (async () => {
    for (; going; rounds++) await once()
  })()
  return async () => {
    going = false
    await loop
    await pool.destroy()
    return rounds
  }
}

const run = async (options: LoadOptions, config: JobConfig): Promise<void> => {
  const stretch = async (seed: number): Promise<Quantiles> => {
    const { latencyMs, problems } = await Effect.runPromise(runLoad({ ...options, seed }))
    if (problems.length > 0) throw new Error(`the audit found problems:\n${problems.join("\n")}`)
    return latencyMs
  }
  // Uniform draws leave out one account in e^5.
  const fillMs = (5 * accounts * 1000) / FILL_RATE
  console.log(`Filling the state of ${count(accounts)} accounts …`)
  await Effect.runPromise(runLoad({ ...options, rate: FILL_RATE, forMs: fillMs, seed: 1 }))
  await writing(config)()
  const rows: { without: Quantiles; with: Quantiles; rounds: number }[] = []
  for (let pair = 0; pair < Number(flags.pairs); pair++) {
    const without = await stretch(10 + 2 * pair)
    const stop = writing(config)
    const beside = await stretch(11 + 2 * pair)
    rows.push({ without, with: beside, rounds: await stop() })
    console.log(`${pair + 1}: p99.9 ${without.p999} ms without, ${beside.p999} ms with (${rows.at(-1)!.rounds} rounds)`)
  }
  const quantiles = ["p50", "p99", "p999", "max"] as const
  console.table(
    quantiles.map(quantile => {
      const without = median(rows.map(row => row.without[quantile]))
      const beside = median(rows.map(row => row.with[quantile]))
      const change = median(rows.map(row => row.with[quantile] / row.without[quantile] - 1))
      return {
        quantile,
        "ms without": Math.round(without),
        "ms with": Math.round(beside),
        "median change": `${(100 * change).toFixed(0)} %`
      }
    })
  )
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
  const running = await startRun("./jobs/remembered.ts", join(directory, "log"), {
    kafka: kafka.bootstrap,
    registry: registry.url,
    app: "payments",
    lanes: String(lanes),
    checkpoints,
    "checkpoint-interval": DAY
  })
  try {
    await untilReady(running)
    await run(options, {
      app: "payments",
      instance: "bench",
      module: new URL("./jobs/remembered.ts", import.meta.url).pathname,
      lanes,
      ...access,
      commitIntervalMs: 25,
      checkpoint: { store: { directory: checkpoints }, intervalMs: 86_400_000, retained: 3 },
      state: { laneBytes: Number.POSITIVE_INFINITY, directory, full: "stop" },
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
