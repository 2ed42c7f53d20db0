import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { median } from "../bench/figures.ts"
import { count } from "../src/text.ts"
import { nexmarkDefaults } from "./generator/options.ts"
import type { Rate } from "./memory/run.ts"
import type { MemoryTask } from "./memory/thread.ts"
import { operatorsOf } from "./operators.ts"
import { QUERIES } from "./queries.ts"

/**
 * `npm run nexmark`: the rate of each query in one lane, whose log is in memory: decoding, operators, state with its changes,
 * encoding and the lane's protocol, and no broker.
 */
const { values: flags } = parseArgs({
  options: {
    queries: { type: "string", default: Object.keys(QUERIES).join(",") },
    // Those that a query reads. They are made before it is measured, and kept in memory: about 250 bytes each.
    events: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "3" },
    seed: { type: "string", default: "1" }
  }
})

const inThread = (task: MemoryTask): Promise<Rate> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./memory/thread.ts", import.meta.url), { workerData: task })
    worker.once("message", resolve)
    worker.once("error", reject)
  })

const wanted = (): readonly string[] => {
  const names = flags.queries.split(",")
  const unknown = names.filter(name => QUERIES[name] === undefined)
  if (unknown.length === 0) return names
  throw new Error(`There is no query ${unknown.join(", ")}: there are ${Object.keys(QUERIES).join(", ")}`)
}

const measure = async (query: string): Promise<readonly Rate[]> => {
  const options = { ...nexmarkDefaults, seed: Number(flags.seed) }
  const answers: Rate[] = []
  for (let round = 0; round < Number(flags.rounds); round++)
    answers.push(await inThread({ query, options, events: Number(flags.events) }))
  return answers
}

const rowOf = (query: string, answers: readonly Rate[]) => {
  const rate = median(answers.map(({ events, seconds }) => events / seconds))
  return {
    query,
    operators: operatorsOf(QUERIES[query]!) || "none",
    events: count(Number(flags.events)),
    results: count(answers[0]!.results),
    "events/s": count(rate),
    "ns/event": count(1e9 / rate),
    "CPU s/M": median(answers.map(({ events, cpuSeconds }) => (cpuSeconds * 1e6) / events)).toFixed(2)
  }
}

const rows = []
for (const query of wanted()) {
  try {
    const row = rowOf(query, await measure(query))
    console.log(`${query}: ${row["events/s"]} events/s`)
    rows.push(row)
  } catch (error) {
    // The figures of the others are not lost.
    console.error(`${query} failed: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  }
}
console.table(rows)
