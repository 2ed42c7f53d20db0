import { parentPort, workerData } from "node:worker_threads"
import type { NexmarkOptions } from "../generator/options.ts"
import { QUERIES } from "../queries.ts"
import { runInMemory } from "./run.ts"

/** One query in a thread of its own: what other queries left to the compiler and the collector is not there. */
export interface MemoryTask {
  readonly query: string
  readonly options: NexmarkOptions
  readonly events: number
}

const { query, options, events } = workerData as MemoryTask
parentPort!.postMessage(await runInMemory(QUERIES[query]!, options, events))
