import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { toPlan } from "headrace"
import { type NexmarkOptions, nexmarkDefaults } from "./generator/options.ts"
import { measureInMemory } from "./memory/measure.ts"
import { operatorsOf } from "./operators.ts"
import { QUERIES } from "./queries.ts"
import { type Rated, rated } from "./rated.ts"

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
const moduleOf = (query: string): string => fileURLToPath(new URL(`./queries/${query}.ts`, import.meta.url))

const inMemory: Bench = {
  measure: query =>
    measureInMemory(new URL("./memory/thread.ts", import.meta.url), { module: moduleOf(query), options, events }),
  close: async () => {}
}

/** The servers' packages are needed for this only. */
const onKafka = async (): Promise<Bench> => {
  const [{ startKafka, startRegistry }, { fill }, { runOnKafka }, { startRun }] = await Promise.all([
    import("@headrace/dev"),
    import("./kafka/fill.ts"),
    import("./kafka/run.ts"),
    import("../bench/process.ts")
  ])
  const [kafka, registry] = await Promise.all([startKafka({ profile: "throughput" }), startRegistry()])
  const cluster = {
    kafka: { bootstrap: kafka.bootstrap, settings: {} },
    registry: { url: registry.url },
    brokerPid: kafka.pid,
    partitions: 4,
    replication: 1
  }
  const directory = mkdtempSync(join(tmpdir(), "headrace-nexmark-"))
  const start = async (query: string, app: string) => {
    const { child, said, end } = await startRun(moduleOf(query), join(directory, "log"), {
      ...{ app, lanes: flags.lanes, kafka: kafka.bootstrap, registry: registry.url },
      checkpoints: join(directory, app)
    })
    return { pid: child.pid ?? 0, ended: () => child.exitCode !== null, said, stop: end }
  }
  await fill(cluster, options, events)
  return {
    measure: async (query, round) => {
      const app = `nexmark-${query}-${round}`
      const plan = toPlan(QUERIES[query]!)
      const { ownCpu, brokerCpu, ...rate } = await runOnKafka(cluster, plan, app, () => start(query, app))
      const more = { lanes: flags.lanes, "broker CPU s/M": ((brokerCpu * 1e6) / rate.events).toFixed(2) }
      return { ...rate, cpuSeconds: ownCpu, more }
    },
    close: async () => {
      await Promise.all([kafka.stop(), registry.stop()])
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

const wanted = (): readonly string[] => {
  const names = flags.queries.split(",")
  const unknown = names.filter(name => QUERIES[name] === undefined)
  if (unknown.length === 0) return names
  throw new Error(`There is no query ${unknown.join(", ")}: there are ${Object.keys(QUERIES).join(", ")}`)
}

const queries = wanted()
const bench = flags.kafka ? await onKafka() : inMemory
const rounds = Number(flags.rounds)
const operators = (query: string) => operatorsOf(toPlan(QUERIES[query]!))
const { rows, failed } = await rated({ queries, rounds, operators, measure: bench.measure, print: console })
await bench.close()
console.table(rows)
if (failed) process.exitCode = 1
