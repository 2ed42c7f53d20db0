import { Effect } from "effect"
import type { LaneMetrics } from "../metrics.ts"
import type { ChangelogReader, LogError, Position, Source } from "../ports/log.ts"
import type { Event } from "./events.ts"
import type { Lane } from "./lane.ts"
import { nameOf } from "./tasks.ts"

/** Without progress for this long a partition is looked at. */
const INTERVAL = "1 second"

export interface QuietParts {
  readonly lane: Lane
  readonly source: Pick<Source, "knownEnd">
  readonly reader: ChangelogReader
  readonly metrics: LaneMetrics
  /** Told, by names, which partitions end in a transaction that is still open. */
  readonly onUndecided?: (partitions: ReadonlySet<string>) => void
}

/**
 * Takes quiet partitions past the transaction markers that follow their last record. Retention removes those with it,
 * and an offset before them would then look like records that were lost. That nothing else stands there is proven by
 * reading it. Where it cannot be read, because a transaction of somebody else is open there, that is a lag which nobody
 * can work off yet, as is one that is held back for others to follow: the gauge `blocked`.
 */
export const watchQuiet = (
  { lane, source, reader, metrics, onUndecided }: QuietParts,
  offer: (event: Event) => void
): Effect.Effect<never> => {
  let before: readonly Position[] = []
  /** Where a record follows: the lane itself will come to that. It is not asked again whether one does. */
  let followed: readonly Position[] = []
  const look = Effect.gen(function* () {
    const positions = lane.positions()
    let blocked = 0
    const undecided = new Set<string>()
    followed = followed.filter(one => includes(positions, one))
    for (const position of positions) {
      const isHeld = lane.isHeldBack(position)
      const ahead = (source.knownEnd(position) ?? -1) - position.offset
      if (isHeld) blocked += Math.max(0, ahead)
      const end = isHeld ? lane.endOf(position) : position.offset + ahead
      if (end === undefined || end <= position.offset || !includes(before, position)) continue
      if (includes(followed, position)) continue
      const passed = yield* endOfMarkers(reader, position)
      if (passed === undefined) followed = [...followed, position]
      else if (passed !== position.offset) offer({ type: "passed", position, end: passed })
      else if (!isHeld) {
        blocked += ahead
        undecided.add(nameOf(position))
      }
    }
    onUndecided?.(undecided)
    metrics.set("blocked", blocked)
    before = positions
  })
  return look.pipe(
    // Nobody answers.
    Effect.catch(error => {
      metrics.set("blocked", 0)
      return Effect.logDebug(`markers: ${error.message}`)
    }),
    Effect.andThen(Effect.sleep(INTERVAL)),
    Effect.forever
  )
}

const includes = (all: readonly Position[], { topic, partition, offset }: Position): boolean =>
  all.some(one => one.topic === topic && one.partition === partition && one.offset === offset)

/**
 * Where the next record will be, if none stands between there and the position: itself, if nothing can be read. Undefined
 * where a record follows, or the log begins behind it.
 */
const endOfMarkers = (reader: ChangelogReader, position: Position): Effect.Effect<number | undefined, LogError> => {
  let follows = false
  const found = () => {
    follows = true
    return false
  }
  return Effect.map(reader.read(position, position.offset, found), ({ start, end }) =>
    !follows && start <= position.offset && end >= position.offset ? end : undefined
  )
}
