import { type JobConfig, LaneMetrics, PHASES } from "@headrace/engine"
import { Clock, Effect, Result } from "effect"
import type { Checkpoints } from "./checkpoints.ts"
import { Orders } from "./orders.ts"
import { reasonOf, runTask, TaskFailed, type Threads } from "./taskThread.ts"
import { type Watchdog, watchdog } from "./watchdog.ts"

/** What a round needs, beside threads of its own. */
export interface RoundsOptions extends Threads {
  readonly job: JobConfig
  readonly digest: string
  readonly watchdog: Watchdog
}

/**
 * The part of an interval after which the first round comes: a process that began with much to read, and ends before it has
 * written anything, leaves more to its successor.
 */
const FIRST_ROUND = 1 / 3

/** Writes a checkpoint every interval. One that fails is reported; the next one covers what it did not. */
export const checkpointing = (options: RoundsOptions, checkpoints: Checkpoints) =>
  Effect.gen(function* () {
    const metrics = new LaneMetrics()
    const task = {
      kind: "checkpoint",
      job: options.job,
      index: 0,
      metrics: metrics.buffer,
      digest: options.digest
    } as const
    for (let waited = options.job.checkpoint.intervalMs * FIRST_ROUND; ; waited = options.job.checkpoint.intervalMs) {
      yield* Effect.sleep(waited)
      metrics.set("phase", RUNNING)
      const started = yield* Clock.currentTimeMillis
      const doomed = roundWatched(options, metrics, checkpoints)
      const result = yield* Effect.result(runTask(options, "checkpoint", task, { ...UNTOLD, doomed }))
      checkpoints.stall(undefined)
      const now = yield* Clock.currentTimeMillis
      if (Result.isSuccess(result)) checkpoints.succeeded(now - started, now)
      else {
        const message = reasonOf(result.failure.cause)
        checkpoints.failedWith(message)
        yield* Effect.logWarning(`failed: ${message}`)
      }
    }
  }).pipe(Effect.annotateLogs({ unit: "checkpoint" }))

/** Of what is told nothing. */
const UNTOLD = { joins: Effect.never, orders: new Orders() } as const

const RUNNING = PHASES.indexOf("running")

/** A thread that hangs is ended, whether or not that ends a job when a lane's does: the next round is another attempt. */
const roundWatched = (
  options: RoundsOptions,
  metrics: LaneMetrics,
  checkpoints: Checkpoints
): Effect.Effect<never, TaskFailed> => {
  const { watchdog: policy } = options
  const action = policy.action === "warn" ? "warn" : "restart"
  const onStall = (_: string, reason: string | undefined) => checkpoints.stall(reason)
  const watched = watchdog(
    { kind: "checkpoint", name: "checkpoint", metrics },
    { ...policy, action, onStall, onStanding: () => {} }
  )
  return Effect.mapError(watched, ({ message }) => new TaskFailed({ cause: new Error(message), stalled: true }))
}
