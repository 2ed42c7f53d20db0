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
 * Keeps the lag gauge: how far the table is behind the end of the log, in offsets, over the partitions that the group has given
 * to this sink. The brokers are asked for it: what the client knows of the end stands still while it reads nothing because the
 * table does not keep up. One that is not taken up yet is as far behind as the group says, which may be more than it is, never less.
 */
export const watchLag = (parts: LagParts): Effect.Effect<never> =>
  look(parts).pipe(
    // It is a figure only; whether the log can be read is the reader's to say.
    Effect.catch(error => Effect.logDebug(error.message)),
    Effect.andThen(Effect.sleep(EVERY)),
    Effect.forever
  )

const look = (parts: LagParts) =>
  Effect.gen(function* () {
    const { topic, log, metrics, holdings, reader } = parts
    const before = new Map(holdings.done)
    const known = yield* committed(parts)
    const given = [...before.keys(), ...known.keys()]
    const asked = log.ends(given.map(partition => ({ topic, partition })))
    const ends = given.length === 0 ? [] : yield* reader.onLog(asked)
    const lags = given.map((partition, i) => {
      const isOurs = holdings.done.has(partition) || holdings.pending.has(partition)
      const from = holdings.done.get(partition) ?? before.get(partition) ?? known.get(partition)!
      // One that was taken away meanwhile is another's.
      return isOurs ? Math.max(0, ends[i]! - from) : 0
    })
    metrics.set(
      "lag",
      lags.reduce((sum, lag) => sum + lag, 0)
    )
  })

/** Of what is still to be taken up: everything before that is in the table. Where the group has nothing, the log's beginning. */
const committed = ({ topic, log, holdings, reader }: LagParts) =>
  Effect.gen(function* () {
    const pending = [...holdings.pending.keys()]
    const places = pending.map(partition => ({ topic, partition }))
    const marks = pending.length === 0 ? [] : yield* reader.onLog(log.committed(places))
    const from = new Map<number, number>()
    for (const [i, place] of places.entries())
      from.set(place.partition, marks[i]?.offset ?? (yield* reader.onLog(log.range(place))).start)
    return from
  })
