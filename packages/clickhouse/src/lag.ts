import type { CommittedLog, LaneMetrics } from "@headrace/engine"
import { Effect } from "effect"
import type { Holdings } from "./holdings.ts"
import type { Reader } from "./reader.ts"

const EVERY = "1 second"

interface LagParts {
  readonly topic: string
  readonly log: CommittedLog
  readonly metrics: LaneMetrics
  readonly holdings: Holdings
  readonly reader: Reader
}

/**
 * Keeps the lag gauge: how far the table is behind the end of the log, in offsets, over the partitions that this sink owns. The
 * brokers are asked for it: what the client knows of the end stands still while it reads nothing because the table does not keep up.
 */
export const watchLag = (parts: LagParts): Effect.Effect<never> =>
  look(parts).pipe(
    // It is a figure only; whether the log can be read is the reader's to say.
    Effect.catch(error => Effect.logDebug(error.message)),
    Effect.andThen(Effect.sleep(EVERY)),
    Effect.forever
  )

const look = ({ topic, log, metrics, holdings, reader }: LagParts) =>
  Effect.gen(function* () {
    const partitions = [...holdings.done.keys()]
    const asked = log.ends(partitions.map(partition => ({ topic, partition })))
    const ends = partitions.length === 0 ? [] : yield* reader.onLog(asked)
    // One that was taken away meanwhile is another's.
    const lags = partitions.map((partition, i) => Math.max(0, ends[i]! - (holdings.done.get(partition) ?? ends[i]!)))
    metrics.set(
      "lag",
      lags.reduce((sum, lag) => sum + lag, 0)
    )
  })
