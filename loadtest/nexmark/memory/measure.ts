import { Worker } from "node:worker_threads"
import { count } from "../../src/text.ts"
import type { Rated } from "../rated.ts"
import type { Rate } from "./run.ts"
import type { MemoryTask } from "./thread.ts"

/** Measures a query in a thread that runs `worker`: the file `thread.ts`, wherever that is. */
export const measureInMemory = async (worker: string | URL, task: MemoryTask): Promise<Rated> => {
  const rate = await new Promise<Rate>((resolve, reject) => {
    const thread = new Worker(worker, { workerData: task })
    thread.once("message", resolve)
    thread.once("error", reject)
  })
  return { ...rate, more: { results: count(rate.results) } }
}
