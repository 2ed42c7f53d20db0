import { type LaneMetrics, STANDING, type StandingWhy } from "../metrics.ts"
import type { TopicPartition } from "../ports/log.ts"
import { nameOf } from "./tasks.ts"

/** A partition with something to do. `at`: how far it is, in whatever grows while it gets on. */
export interface Busy extends TopicPartition {
  readonly at: number
  readonly why: StandingWhy
}

interface Since {
  readonly at: number
  readonly ms: number
}

/**
 * Which of a lane's partitions has stood still for longest though there is something to do in it, and since when. A lane whose
 * other partitions go on commits, so that nothing is seen of it from outside.
 */
export class Standing {
  private readonly metrics: Pick<LaneMetrics, "set">
  private readonly topics: readonly string[]
  private since: ReadonlyMap<string, Since> = new Map()

  /** `topics`: those that the job reads, as they are numbered. */
  constructor(metrics: Pick<LaneMetrics, "set">, topics: readonly string[]) {
    this.metrics = metrics
    this.topics = topics
  }

  /** `now`: monotonous, in ms. */
  look(all: readonly Busy[], now: number): void {
    const since = new Map<string, Since>()
    let longest: (Busy & Since) | undefined
    for (const one of all) {
      // Its state comes back, then it runs: that is another matter.
      const name = `${nameOf(one)} ${one.why === "restore"}`
      const before = this.since.get(name)
      const here = before?.at === one.at ? before : { at: one.at, ms: now }
      since.set(name, here)
      if (longest === undefined || here.ms < longest.ms) longest = { ...one, ms: here.ms }
    }
    this.since = since
    this.show(longest, now)
  }

  private show(longest: (Busy & Since) | undefined, now: number): void {
    this.metrics.set("standingMs", longest === undefined ? 0 : now - longest.ms)
    if (longest === undefined) return
    this.metrics.set("standingWhy", STANDING.indexOf(longest.why))
    this.metrics.set("standingSource", this.topics.indexOf(longest.topic))
    this.metrics.set("standingPartition", longest.partition)
  }
}
