import { STANDING, type StandingWhy } from "@headrace/engine"
import { Effect } from "effect"
import type { Watchable } from "./unit.ts"

/** What is told of the partition of a unit that has stood still for longest; a start of the unit anew may not help it. */
export interface StandingOptions {
  /** How long one may stand still. */
  readonly afterMs: number
  /** The topics that the plan reads, by their number. */
  readonly sources: readonly string[]
  /** Told which one stands still and what to do, and (without a reason) when it moves again. */
  readonly onStanding: (unit: string, reason: string | undefined) => void
}

/**
 * The partitions of one run of a unit, of which one may stand still while others go on. That is said, in the log each time it has
 * been so for as long as it may, and no more: others would wait for the same again.
 */
export class StandingPartitions {
  private readonly unit: Watchable
  private readonly options: StandingOptions
  private saidAt: number | undefined
  /** Until then there was another reason, of the unit as a whole. */
  private excusedAt = 0

  constructor(unit: Watchable, options: StandingOptions) {
    this.unit = unit
    this.options = options
    unit.metrics.set("standingMs", 0)
    options.onStanding(unit.name, undefined)
  }

  /** `clock`: in ms, of the run. `excused`: the unit stands still as a whole, or nobody can tell whether it does. */
  look(clock: number, excused: boolean): Effect.Effect<void> {
    const { unit, options } = this
    if (excused) this.excusedAt = clock
    const forMs = Math.min(unit.metrics.get("standingMs"), clock - this.excusedAt)
    if (forMs < options.afterMs) return this.saidAt === undefined ? Effect.void : this.movesAgain(excused)
    const reason = this.reason(forMs)
    options.onStanding(unit.name, reason)
    if (this.saidAt !== undefined && clock - this.saidAt < options.afterMs) return Effect.void
    this.saidAt = clock
    return Effect.logWarning(reason)
  }

  private movesAgain(excused: boolean): Effect.Effect<void> {
    this.saidAt = undefined
    this.options.onStanding(this.unit.name, undefined)
    return excused ? Effect.void : Effect.logInfo("all of its partitions get on again")
  }

  private reason(forMs: number): string {
    const { metrics } = this.unit
    const topic = this.options.sources[metrics.get("standingSource")] ?? "source"
    const partition = metrics.get("standingPartition")
    const why = STANDING[metrics.get("standingWhy")] ?? "unread"
    return `${topic}/${partition} has stood still for ${Math.round(forMs / 1000)} s: ${WHY[why](topic, partition)}`
  }
}

const WHY: Readonly<Record<StandingWhy, (topic: string, partition: number) => string>> = {
  restore: () =>
    "its state does not come back (a broker or the checkpoint store does not answer, or its committed offset is pending in a transaction). If it stays so, start this process again",
  unread: () =>
    "it has records, but none of them are read and committed. See whether it has a leader; if it has, start this process again",
  undecided: (topic, partition) =>
    `a transaction of a producer is open there, and nothing behind it may be read. If its producer is gone, find it (kafka-transactions.sh find-hanging --topic ${topic} --partition ${partition}) and end it (kafka-transactions.sh abort); a restart does not help`
}
