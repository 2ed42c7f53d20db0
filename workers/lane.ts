import {
  beating,
  LaneMetrics,
  prepareTopics,
  refuseHalfRestored,
  runLaneJob,
  type WorkerMessage,
  type WorkerTask
} from "@headrace/engine"
import { Effect } from "effect"
import { planOf } from "./plan.ts"
import { asFatal, servicesOf } from "./services.ts"

/** One lane, for as long as the job runs: the task of a pool's thread. */
export default async (task: WorkerTask): Promise<void> => {
  const { job, control } = task
  const plan = await planOf(task)
  const metrics = new LaneMetrics(task.metrics)
  const run = runLaneJob({ plan, job, lane: task.index, metrics }, handle => {
    control.on("message", (message: WorkerMessage) => handle.offer(message))
  })
  await Effect.runPromise(
    Effect.raceFirst(
      Effect.andThen(Effect.andThen(refuseHalfRestored(job.app), prepareTopics(plan, job)), run),
      beating(metrics)
    ).pipe(
      Effect.mapError(asFatal),
      Effect.provide(servicesOf(job)),
      Effect.ensuring(Effect.sync(() => control.close()))
    )
  )
}
