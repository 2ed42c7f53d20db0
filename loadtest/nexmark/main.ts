import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { median } from "../bench/figures.ts"
import { count } from "../src/text.ts"
import { type NexmarkOptions, nexmarkDefaults } from "./generator/options.ts"
import type { Rate } from "./memory/run.ts"
import type { MemoryTask } from "./memory/thread.ts"
import { operatorsOf } from "./operators.ts"
import { QUERIES } from "./queries.ts"

/**
 * `npm run nexmark`: the rate of each query in one lane whose log is in memory (decoding, operators, state with its changes,
 * encoding and the lane's protocol, and no broker); with `--kafka` in `headrace run` on development servers.
 */
const { values: flags } = parseArgs({
  options: {
    queries: { type: "string", default: Object.keys(QUERIES).join(",") },
    // In memory those that a query reads: they are made before it is measured, and take about 250 bytes each. On Kafka
    // those of the whole stream.
    events: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    kafka: { type: "boolean", default: false },
    lanes: { type: "string", default: "1" }
  }
})
const events = Number(flags.events)
const options: NexmarkOptions = { ...nexmarkDefaults, seed: Number(flags.seed) }

/** One way to run a query, a row of the table at a time. */
interface Bench {
  readonly measure: (query: string, round: number) => Promise<Rated>
  readonly close: () => Promise<void>
}
/** What was measured, and what else the table shows of it. */
interface Rated extends Omit<Rate, "results"> {
  readonly more: Readonly<Record<string, string>>
}

const inMemory: Bench = {
  measure: async query => {
    const task: MemoryTask = { query, options, events }
    const rate = await new Promise<Rate>((resolve, reject) => {
      const worker = new Worker(new URL("./memory/thread.ts", import.meta.url), { workerData: task })
      worker.once("message", resolve)
      worker.once("error", reject)
    })
    return { ...rate, more: { results: count(rate.results) } }
  },
  close: async () => {}
}

/** The servers' packages are needed for this only. */
const onKafka = async (): Promise<Bench> => {
  const [{ startKafka, startRegistry }, { fill }, { runOnKafka }] = await Promise.all([
    import("@headrace/dev"),
    import("./kafka/fill.ts"),
    import("./kafka/run.ts")
  ])
  const [kafka, registry] = await Promise.all([startKafka({ profile: "throughput" }), startRegistry()])
  const cluster = { bootstrap: kafka.bootstrap, registry: registry.url, brokerPid: kafka.pid, partitions: 4 }
  await fill(cluster, options, events)
  return {
    measure: async (query, round) => {
      const { ownCpu, brokerCpu, ...rate } = await runOnKafka(cluster, query, round, Number(flags.lanes))
      const more = { lanes: flags.lanes, "broker CPU s/M": ((brokerCpu * 1e6) / rate.events).toFixed(2) }
      return { ...rate, cpuSeconds: ownCpu, more }
    },
    close: async () => void (await Promise.all([kafka.stop(), registry.stop()]))
  }
}

const wanted = (): readonly string[] => {
  const names = flags.queries.split(",")
  const unknown = names.filter(name => QUERIES[name] === undefined)
  if (unknown.length === 0) return names
  throw new Error(`There is no query ${unknown.join(", ")}: there are ${Object.keys(QUERIES).join(", ")}`)
}

const rowOf = (query: string, rounds: readonly Rated[]) => {
  const rate = median(rounds.map(({ events, seconds }) => events / seconds))
  return {
    query,
    operators: operatorsOf(QUERIES[query]!) || "none",
    events: count(events),
    "events/s": count(rate),
    "ns/event": count(1e9 / rate),
    "CPU s/M": median(rounds.map(({ events, cpuSeconds }) => (cpuSeconds * 1e6) / events)).toFixed(2),
    ...rounds.at(-1)!.more
  }
}

const queries = wanted()
const bench = flags.kafka ? await onKafka() : inMemory
const rows = []
for (const query of queries) {
  try {
    const rounds: Rated[] = []
    for (let round = 0; round < Number(flags.rounds); round++) rounds.push(await bench.measure(query, round))
    const row = rowOf(query, rounds)
    console.log(`${query}: ${row["events/s"]} events/s`)
    rows.push(row)
  } catch (error) {
    // The figures of the others are not lost.
    console.error(`${query} failed: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  }
}
await bench.close()
console.table(rows)
