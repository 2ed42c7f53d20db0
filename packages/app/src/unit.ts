import type { LaneMetrics, WorkerKind } from "@headrace/engine"

/** What runs in one thread for as long as the job does. */
export interface Unit {
  readonly kind: Exclude<WorkerKind, "checkpoint">
  readonly index: number
  /** As people know it: "lane 0", "table spend". */
  readonly name: string
  readonly nodeId?: string
  readonly metrics: LaneMetrics
}

/** What can be watched. */
export interface Watchable extends Pick<Unit, "name" | "metrics"> {
  readonly kind: WorkerKind
}
