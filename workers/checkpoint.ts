import { setPriority } from "node:os"
import { beating, checkpointAll, LaneMetrics, type RoundOptions, type WorkerTask } from "@headrace/engine"
import { Effect } from "effect"
import { breather } from "./breather.ts"
import { layerNoted } from "./log.ts"
import { planOf } from "./plan.ts"
import { asFatal, servicesOf } from "./services.ts"
import { stopped } from "./stopped.ts"

const LOWEST = 19
/** Part of a processor that a round takes. */
const SHARE = 1 / 8

/** One round of checkpoints, as the supervisor starts it. */
export default (task: WorkerTask): Promise<void> => writeRound(task)

/**
 * One round of checkpoints: a short task, started every interval. Told to stop it gives up what it has not written: a
 * checkpoint is there whole or not at all, and the next round covers the rest.
 */
export const writeRound = async (task: WorkerTask, options: Partial<RoundOptions> = {}): Promise<void> => {
  // Of this thread alone (on Linux): what is left of the machine will do, the lanes come first. The scheduler weighs it
  // against this process's threads only, so that servers beside it need the pauses as well.
  if (process.platform === "linux") setPriority(LOWEST)
  const plan = await planOf(task)
  const metrics = new LaneMetrics(task.metrics)
  const round = checkpointAll(plan, task.job, { ...options, breathe: breather(SHARE) })
  await Effect.runPromise(
    Effect.raceAllFirst([round, stopped(task), beating(metrics)]).pipe(
      Effect.mapError(asFatal),
      Effect.provide(layerNoted(metrics)),
      Effect.provide(servicesOf(task.job)),
      Effect.ensuring(Effect.sync(() => task.control.close()))
    )
  )
}
