import { setPriority } from "node:os"
import {
  beating,
  checkpointAll,
  type JobConfig,
  LaneMetrics,
  type RoundOptions,
  type WorkerTask
} from "@headrace/engine"
import { Effect } from "effect"
import { breather } from "./breather.ts"
import { layerNoted } from "./log.ts"
import { planOf } from "./plan.ts"
import { asFatal, servicesOf } from "./services.ts"
import { stopped } from "./stopped.ts"

const LOWEST = 19
/** Part of a processor that a round takes: of twice as much, latencies tell. */
const SHARE = 1 / 16
/** Of an interval: a round that goes on for longer takes twice the share, and twice as much again for each further one. */
const UNHURRIED = 1 / 4
/**
 * librdkafka fetches and unpacks on threads of its own, which pauses know nothing of: what it may read ahead (by default 16 MB, for each
 * partition anew) is a burst in which lanes and broker wait. This much is a few milliseconds of work.
 */
const READ_AHEAD = { "queued.max.messages.kbytes": "1024", "fetch.message.max.bytes": String(1 << 18) }

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
  const begun = performance.now()
  const breathe = breather(() => shareOf(performance.now() - begun, task.job.checkpoint.intervalMs))
  const round = checkpointAll(plan, task.job, { ...options, breathe })
  await Effect.runPromise(
    Effect.raceAllFirst([round, stopped(task), beating(metrics)]).pipe(
      Effect.mapError(asFatal),
      Effect.provide(layerNoted(metrics)),
      Effect.provide(servicesOf(readingLittle(task.job))),
      Effect.ensuring(Effect.sync(() => task.control.close()))
    )
  )
}

const readingLittle = (job: JobConfig): JobConfig => {
  const settings = { ...job.kafka.settings, ...READ_AHEAD }
  return { ...job, kafka: { ...job.kafka, settings } }
}

/**
 * Part of a processor that a round takes after it has gone on for `goneMs`. However much changes, rounds keep up with it: the
 * changelog behind them, which a restart reads, does not grow without end.
 */
export const shareOf = (goneMs: number, intervalMs: number): number =>
  Math.min(1, SHARE * 2 ** Math.floor(goneMs / (UNHURRIED * intervalMs)))
