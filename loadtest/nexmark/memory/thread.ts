import { parentPort, workerData } from "node:worker_threads"
import { Pipeline } from "headrace"
import { importPipeline } from "../../../workers/modules.ts"
import type { NexmarkOptions } from "../generator/options.ts"
import { runInMemory } from "./run.ts"

/** One query in a thread of its own: what other queries left to the compiler and the collector is not there. */
export interface MemoryTask {
  /** The query's file. */
  readonly module: string
  readonly options: NexmarkOptions
  readonly events: number
}

const { module, options, events } = workerData as MemoryTask
const query = await importPipeline(module)
if (!Pipeline.isPipeline(query)) throw new Error(`${module} exports no pipeline`)
parentPort!.postMessage(await runInMemory(query as Pipeline.Pipeline<never>, options, events))
