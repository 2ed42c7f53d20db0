import { MessageChannel } from "node:worker_threads"
import { type JobConfig, LaneMetrics, type WorkerMessage, type WorkerTask } from "@headrace/engine"
import { digest, Pipeline, toPlan } from "headrace"
import { Piscina } from "piscina"
import { MAIN } from "./process.ts"

/** What the process is told by its parent; it answers the second with how many rounds it began, a number. */
export type Order = { readonly write: Kind; readonly job: JobConfig } | { readonly write: "nothing" }
export type Kind = keyof typeof FILES

const FILES = { changes: "../../workers/task.ts", full: "./fullCheckpoints.ts" } as const

/**
 * Rounds of checkpoints one after the other, until it is told to stop; answers how many were begun. One of all of the state takes
 * tens of seconds: it is given up then.
 */
const writing = async (job: JobConfig, kind: Kind) => {
  const { default: pipeline } = await import(job.module)
  if (!Pipeline.isPipeline(pipeline)) throw new Error("the bench's job is no pipeline")
  const plan = digest(toPlan(pipeline))
  const pool = new Piscina({ filename: new URL(FILES[kind], import.meta.url).href, maxThreads: 1 })
  let going = true
  let rounds = 0
  let giveUp = () => {}
  const once = () => {
    const { port1, port2: control } = new MessageChannel()
    const metrics = new LaneMetrics().buffer
    const task: WorkerTask = { kind: "checkpoint", job, index: 0, metrics, digest: plan, control }
    if (kind === "full") giveUp = () => port1.postMessage({ type: "stop" } satisfies WorkerMessage)
    return pool.run(task, { transferList: [control] as never }).finally(() => port1.close())
  }
  const loop = (async () => {
    while (going) {
      rounds++
      await once()
    }
  })()
  return async () => {
    going = false
    giveUp()
    await loop
    await pool.destroy()
    return rounds
  }
}

/** A pipeline's process that writes checkpoints when it is told to: they are its own, and its threads' priorities count. */
let written = Promise.resolve(async () => 0)
process.on("message", async (order: Order) => {
  if (order.write !== "nothing") written = writing(order.job, order.write)
  else process.send?.(await (await written)())
})
await import(MAIN)
