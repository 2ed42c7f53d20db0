import { checkpointAll, type WorkerTask } from "@headrace/engine"
import { Effect } from "effect"
import { planOf } from "./plan.ts"
import { asFatal, servicesOf } from "./services.ts"

/** One round of checkpoints: a short task, started every interval. */
export default async (task: WorkerTask): Promise<void> => {
  const plan = await planOf(task)
  await Effect.runPromise(
    checkpointAll(plan, task.job).pipe(
      Effect.mapError(asFatal),
      Effect.provide(servicesOf(task.job)),
      Effect.ensuring(Effect.sync(() => task.control.close()))
    )
  )
}
