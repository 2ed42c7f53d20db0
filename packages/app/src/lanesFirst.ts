import { PHASES, type Phase } from "@headrace/engine"
import { Effect } from "effect"
import type { Unit } from "./unit.ts"

/** What a lane shows that does not have its partitions' state yet. */
const BEFORE_RUNNING: readonly Phase[] = ["starting", "following", "joining", "restoring"]
/** A lane's first records, and their commit. */
const FIRST_COMMIT_MS = 500
/** Lanes that are not given anything, or restore for long, keep no table waiting. */
const TABLES_WAIT_MS = 3_000
const LOOK_EVERY_MS = 20

/**
 * Until these lanes have what they need to go on, and have gone on. A table's thread takes as much of a processor to begin as a
 * quarter of a lane's restart, and its rows wait for what lanes commit.
 */
export const lanesRun = (lanes: readonly Unit[]): Effect.Effect<void> =>
  Effect.gen(function* () {
    const starts = ({ metrics }: Unit) => BEFORE_RUNNING.includes(PHASES[metrics.get("phase")]!)
    while (lanes.some(starts)) yield* Effect.sleep(LOOK_EVERY_MS)
    yield* Effect.sleep(FIRST_COMMIT_MS)
  }).pipe(Effect.timeoutOption(TABLES_WAIT_MS), Effect.asVoid)
