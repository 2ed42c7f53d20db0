import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { startKafka, startRegistry } from "@headrace/dev"
import { Admin } from "@headrace/kafka"
import { Effect } from "effect"
import { defaults, ensureTopics } from "../src/index.ts"
import { count } from "../src/text.ts"
import type { Bench, Job } from "./bench.ts"
import { type Measured, measured, median } from "./figures.ts"
import { laneJob } from "./lanes.ts"
import { measureStages } from "./stages.ts"
import type { BenchAnswer, BenchTask } from "./thread.ts"

/**
 * `npm run bench`: in one run, on one machine, what the parts cost and how fast whole lanes are. Every rate stands
 * beside the rate at which the same number of threads merely consumes the same topic, since that ratio is what a
 * noisy machine leaves intact.
 */
const { values: flags } = parseArgs({
  options: {
    // Enough that the just-in-time compiler's first seconds do not count for much.
    events: { type: "string", default: "12000000" },
    lanes: { type: "string", default: "1,2" },
    rounds: { type: "string", default: "3" }
  }
})

const inThread = (task: BenchTask): Promise<BenchAnswer> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./thread.ts", import.meta.url), { workerData: task })
    worker.once("message", resolve)
    worker.once("error", reject)
  })

const consumeOnly: Job = {
  name: "consume only",
  run: ({ bootstrap, brokerPid, partitions }, lanes) =>
    measured(brokerPid, async () => {
      const kafka = { bootstrap, settings: {} }
      const answers = await Promise.all(
        Array.from({ length: lanes }, (_, lane) => inThread({ role: "consume", kafka, partitions, lane, lanes }))
      )
      const longest = Math.max(...answers.map(({ beginAt, endAt }) => endAt - beginAt))
      return { events: answers.reduce((sum, { events }) => sum + events, 0), seconds: longest / 1000 }
    })
}

/** The first is what the others are compared with. */
const jobs: readonly [Job, ...Job[]] = [
  consumeOnly,
  laneJob("lane, all filtered", "./jobs/consumed.ts"),
  laneJob("windowed", "./jobs/windowed.ts"),
  laneJob("enriched 1:1", "./jobs/enriched.ts")
]
const OUTPUTS = ["bench.consumed", "bench.windowed", "bench.enriched"]

const row = (name: string, lanes: number, rounds: readonly Measured[], base: number) => {
  const rate = median(rounds.map(({ events, seconds }) => events / seconds))
  const perMillion = (of: (round: Measured) => number) =>
    median(rounds.map(round => (of(round) * 1e6) / round.events)).toFixed(2)
  return {
    job: name,
    lanes,
    "events/s": count(rate),
    "of consume": base === 0 ? "100 %" : `${Math.round((100 * rate) / base)} %`,
    "CPU s/M": perMillion(round => round.ownCpu),
    "broker CPU s/M": perMillion(round => round.brokerCpu),
    rate
  }
}

const runJobs = async (bench: Bench, lanes: number, rounds: number) => {
  const rows: ReturnType<typeof row>[] = []
  for (const job of jobs) {
    const results: Measured[] = []
    for (let round = 0; round < rounds; round++) {
      results.push(await job.run(bench, lanes, round))
    }
    rows.push(row(job.name, lanes, results, rows[0]?.rate ?? 0))
  }
  return rows.map(({ rate: _, ...shown }) => shown)
}

const createOutputs = async (bootstrap: string): Promise<void> => {
  const admin = Admin.open({ "bootstrap.servers": bootstrap })
  await admin.createTopics(OUTPUTS.map(topic => ({ topic, partitions: defaults.partitions, replication: 1 })))
  await admin.close()
}

const main = async (): Promise<void> => {
  console.log("The cost of each stage, one thread, events in memory:")
  console.table(
    measureStages().map(({ stage, nsPerEvent, addsNs }) => ({
      stage,
      "ns/event": Math.round(nsPerEvent),
      adds: Math.round(addsNs)
    }))
  )
  const [kafka, registry] = await Promise.all([startKafka({ profile: "throughput" }), startRegistry()])
  try {
    const events = Number(flags.events)
    const access = { kafka: { bootstrap: kafka.bootstrap, settings: {} }, registry: { url: registry.url } }
    await Effect.runPromise(ensureTopics({ ...defaults, ...access }))
    await createOutputs(kafka.bootstrap)
    const filled = await inThread({ role: "fill", ...access, partitions: defaults.partitions, events })
    console.log(`Filled with ${count(events)} events at ${count((events * 1000) / (filled.endAt - filled.beginAt))}/s.`)
    const { partitions } = defaults
    const bench: Bench = {
      bootstrap: kafka.bootstrap,
      registry: registry.url,
      brokerPid: kafka.pid,
      partitions,
      events
    }
    for (const lanes of flags.lanes.split(",").map(Number)) {
      console.table(await runJobs(bench, lanes, Number(flags.rounds)))
    }
  } finally {
    await Promise.all([kafka.stop(), registry.stop()])
  }
}

await main()
