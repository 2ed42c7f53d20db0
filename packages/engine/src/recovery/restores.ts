import { Effect } from "effect"
import { nameOf } from "../lane/tasks.ts"
import type { LaneMetrics } from "../metrics.ts"
import { LogError, type TopicPartition } from "../ports/log.ts"
import type { PartitionProgress, RestoreProgress } from "./progress.ts"
import type { Restored } from "./restore.ts"

/** What may pass by itself is tried again after this long; each further time after twice as long, up to the longest. ms */
const FIRST_DELAY_MS = 250
const LONGEST_DELAY_MS = 15_000
/** In a row, after which the job is given up: as of a lane that is started again. */
const MOST_FAILURES = 20

/**
 * Restores one partition, from the beginning each time, until that succeeds: what may pass by itself, a store that is away or a
 * leader that moves, is no affair of the lane's other partitions, which go on. Fails with what ends the lane: what a person
 * must mend, a client that is of no more use, or too many failures in a row.
 */
export const untilRestored = <R>(
  partition: TopicPartition,
  { progress, metrics }: RestoreGauges,
  restore: (part: PartitionProgress) => Effect.Effect<Restored, LogError, R>
): Effect.Effect<Restored, LogError, R> =>
  progress.during(part => {
    const begun = Effect.suspend(() => restore(part))
    const attempt = (failures: number): Effect.Effect<Restored, LogError, R> =>
      Effect.catch(begun, error => {
        if (!mayPass(error)) return Effect.fail(error)
        if (failures + 1 >= MOST_FAILURES) return Effect.fail(givenUp(partition, error))
        const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures)
        part.wait()
        // The watchdog sees that something is tried.
        metrics.add("restoreFailures", 1)
        return Effect.logWarning(
          `Cannot restore ${nameOf(partition)}, tries again in ${delay} ms while the lane's other partitions go on: ${error.message}`
        ).pipe(Effect.andThen(Effect.sleep(delay)), Effect.andThen(attempt(failures + 1)))
      })
    return attempt(0)
  }, partition)

/** Of the lane. */
export interface RestoreGauges {
  readonly progress: RestoreProgress
  readonly metrics: LaneMetrics
}

/** Nothing is changed by a restore: whether a call of it happened is all the same. */
const mayPass = ({ failure }: LogError): boolean => failure === "Retry" || failure === "Unknown"

const givenUp = (partition: TopicPartition, last: LogError): LogError =>
  new LogError(
    "Stop",
    `${nameOf(partition)} could not be restored ${MOST_FAILURES} times in a row, the last time: ${last.message}`,
    { cause: last }
  )
