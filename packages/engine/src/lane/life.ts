import type { Phase } from "../metrics.ts"
import type { Commits } from "./commits.ts"
import type { Holdings } from "./holdings.ts"

/**
 * `starting`: the producers get their sessions, and the first partitions their state. `running`: partitions come, run and go,
 * each on its own. After a failed transaction: `quieting` (calls under way come back), then `resetting` (new sessions of both producers, which aborts).
 * `leaving`: all is committed, and the lane leaves the group.
 */
type LanePhase = "starting" | "running" | "quieting" | "resetting" | "leaving" | "ended" | "failed"

/** What an operator is shown; what a running lane shows depends on its partitions. */
const SHOWN: Readonly<Record<Exclude<LanePhase, "running">, Phase>> = {
  starting: "starting",
  quieting: "restoring",
  resetting: "restoring",
  leaving: "stopping",
  ended: "stopped",
  failed: "failed"
}

/** Where a lane is in its life, and what follows from that for what it has. */
export class Life {
  phase: LanePhase = "starting"
  /** The group has it, whether with partitions or without. */
  member = false
  /** It was told to stop. */
  stopping = false
  private readonly holdings: Holdings
  private readonly commits: Commits

  constructor(holdings: Holdings, commits: Commits) {
    this.holdings = holdings
    this.commits = commits
  }

  get running(): boolean {
    return this.phase === "running"
  }
  get ended(): boolean {
    return this.phase === "ended" || this.phase === "failed"
  }
  /** Something was processed that is not committed. */
  get uncommitted(): boolean {
    return this.commits.committing || this.commits.openSince >= 0
  }
  /** Partitions go: those that the group asks for, or all. */
  get leaves(): boolean {
    return this.stopping || this.holdings.owing
  }
  /** What is open has to be committed first, or dropped (rule 5). */
  get settling(): boolean {
    return this.stopping || this.holdings.owingRunning
  }
  /** What an operator is shown. */
  get visible(): Phase {
    if (this.phase !== "running") return SHOWN[this.phase]
    if (this.leaves) return "stopping"
    if (this.holdings.arriving) return "restoring"
    if (this.holdings.tasks.size > 0) return "running"
    return this.member ? "spare" : "joining"
  }
}
