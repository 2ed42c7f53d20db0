import { fatal, type WorkerTask } from "@headrace/engine"
import { digest, Pipeline, type Plan, toPlan } from "headrace"
import { importPipeline } from "./modules.ts"

/** Builds the plan of the task's pipeline in this thread; it must be the one that the main thread built. */
export const planOf = async (task: WorkerTask): Promise<Plan> => {
  const pipeline = await importPipeline(task.job.module)
  if (!Pipeline.isPipeline(pipeline)) throw fatal(`${task.job.module}: the default export is not a pipeline`)
  const plan = toPlan(pipeline)
  if (digest(plan) === task.digest) return plan
  throw fatal(
    `${task.job.module} gives another plan in each thread, or has changed since the start. ` +
      "A pipeline's module may depend on nothing but its text: no clock, randomness or input at its top level."
  )
}
