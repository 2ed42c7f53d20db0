import { Effect } from "effect"
import type { LaneMetrics } from "../metrics.ts"
import type { ChangelogReader, LogError, Position, Source } from "../ports/log.ts"
import type { Event } from "./events.ts"
import type { Lane } from "./lane.ts"

/** Without progress for this long a partition is looked at. */
const INTERVAL = "1 second"

export interface QuietParts {
  readonly lane: Lane
  readonly source: Source
  readonly reader: ChangelogReader
  readonly metrics: LaneMetrics
}

/**
 * Takes quiet partitions past the transaction markers that follow their last record. Retention removes those with it,
 * and an offset before them would then look like records that were lost. That nothing else stands there is proven by
 * reading it. Where it cannot be read, because a transaction of somebody else is open there, that is a lag which nobody
 * can work off yet, as is one that is held back for others to follow: the gauge `blocked`.
 */
export const watchQuiet = (
  { lane, source, reader, metrics }: QuietParts,
  offer: (event: Event) => void
): Effect.Effect<never> => {
  let before: readonly Position[] = []
  const stands = ({ topic, partition, offset }: Position): boolean =>
    before.some(one => one.topic === topic && one.partition === partition && one.offset === offset)
  const look = Effect.gen(function* () {
    const positions = lane.positions()
    let blocked = 0
    for (const position of positions) {
      const ahead = (source.knownEnd(position) ?? -1) - position.offset
      if (ahead <= 0) continue
      if (lane.isHeldBack(position)) {
        blocked += ahead
        continue
      }
      if (!stands(position)) continue
      const end = yield* endOfMarkers(reader, position)
      if (end === position.offset) blocked += ahead
      else if (end !== undefined) offer({ type: "passed", position, end })
    }
    metrics.set("blocked", blocked)
    before = positions
  })
  return look.pipe(
    // A record follows, or nobody answers.
    Effect.catch(error => {
      metrics.set("blocked", 0)
      return Effect.logDebug(`markers: ${error.message}`)
    }),
    Effect.andThen(Effect.sleep(INTERVAL)),
    Effect.forever
  )
}

/** Where the next record will be, if none stands between there and the position: itself, if nothing can be read. */
const endOfMarkers = (reader: ChangelogReader, position: Position): Effect.Effect<number | undefined, LogError> =>
  Effect.map(reader.read(position, position.offset, recordFollows), ({ start, end }) =>
    start <= position.offset && end >= position.offset ? end : undefined
  )

/** Ends the reading: the lane itself will come to that record. */
const recordFollows = (): never => {
  throw new Error("a record follows")
}
