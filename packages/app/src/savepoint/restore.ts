import {
  type CheckpointStore,
  type JobConfig,
  type RestoreReport,
  type RestoreSavepoint,
  restoreSavepoint,
  SavepointError
} from "@headrace/engine"
import { Effect } from "effect"
import type { Plan } from "headrace"
import { savepointBlobs, servicesOf } from "../../../../workers/services.ts"

/** Gives a job that does not run the state of a savepoint. */
export const restore = (
  plan: Plan,
  job: JobConfig,
  store: CheckpointStore,
  options: RestoreSavepoint
): Effect.Effect<RestoreReport, SavepointError> =>
  restoreSavepoint(plan, job, options).pipe(
    Effect.mapError(error => new SavepointError({ message: error.message })),
    Effect.provide(servicesOf(job)),
    Effect.provide(savepointBlobs(store))
  )
