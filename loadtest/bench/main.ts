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
 * beside two others, since ratios are what a noisy machine leaves intact: that of as many threads which poll and drop,
 * and that of the same lanes whose pipeline drops every event.
 */
const { values: flags } = parseArgs({
  options: {
    // Enough that the just-in-time compiler's first seconds do not count for much.
    events: { type: "string", default: "12000000" },
    lanes: { type: "string", default: "1,2" },
    // Only jobs whose names have this in them; the first two, which the others are compared with, always.
    jobs: { type: "string", default: "" },
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
      const events = answers.reduce((sum, { events }) => sum + events, 0)
      // Each by its own time, as lanes are measured while all of them are at work.
      const rate = answers.reduce((sum, { events, beginAt, endAt }) => sum + (events * 1000) / (endAt - beginAt), 0)
      return { events, seconds: events / rate }
    })
}

/** What the others are compared with. */
const bases: readonly Job[] = [consumeOnly, laneJob("lane, all filtered", "./jobs/consumed.ts")]
const jobs = [laneJob("windowed", "./jobs/windowed.ts"), laneJob("enriched 1:1", "./jobs/enriched.ts")].filter(
  ({ name }) => name.includes(flags.jobs)
)
const OUTPUTS = ["bench.consumed", "bench.windowed", "bench.enriched"]

interface Row {
  readonly name: string
  readonly rate: number
  readonly ownCpu: number
  readonly brokerCpu: number
}

const rowOf = (name: string, rounds: readonly Measured[]): Row => {
  const perMillion = (of: (round: Measured) => number) => median(rounds.map(round => (of(round) * 1e6) / round.events))
  return {
    name,
    rate: median(rounds.map(({ events, seconds }) => events / seconds)),
    ownCpu: perMillion(round => round.ownCpu),
    brokerCpu: perMillion(round => round.brokerCpu)
  }
}

const shown = ([consume, filtered]: readonly Row[], lanes: number, { name, rate, ownCpu, brokerCpu }: Row) => ({
  job: name,
  lanes,
  "events/s": count(rate),
  "of consume": percent(rate, consume!.rate),
  "of lanes that drop all": percent(rate, filtered!.rate),
  "CPU s/M": ownCpu.toFixed(2),
  "broker CPU s/M": brokerCpu.toFixed(2)
})

const percent = (rate: number, base: number): string => `${Math.round((100 * rate) / base)} %`

/** Round by round, so that an hour that is noisy is noisy for all of them. */
const runJobs = async (bench: Bench, lanes: number, rounds: number) => {
  const all = [...bases, ...jobs].map(job => ({ job, results: [] as Measured[] }))
  for (let round = 0; round < rounds; round++)
    for (const { job, results } of all) results.push(await job.run(bench, lanes, round))
  const rows = all.map(({ job, results }) => rowOf(job.name, results))
  return rows.map(row => shown(rows, lanes, row))
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
