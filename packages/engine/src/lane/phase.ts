import type { Phase } from "../metrics.ts"

/**
 * `starting`: the producers get their sessions, and the first partitions their state. `running`: partitions come, run and go, each on its own. After a failed
 * transaction: `quieting` (calls under way come back), then `resetting` (new sessions of both producers, which aborts).
 * `leaving`: all is committed, and the lane leaves the group.
 */
export type LanePhase = "starting" | "running" | "quieting" | "resetting" | "leaving" | "ended" | "failed"

/** What an operator is shown; what a running lane shows depends on its partitions. */
export const SHOWN: Readonly<Record<Exclude<LanePhase, "running">, Phase>> = {
  starting: "starting",
  quieting: "restoring",
  resetting: "restoring",
  leaving: "stopping",
  ended: "stopped",
  failed: "failed"
}
