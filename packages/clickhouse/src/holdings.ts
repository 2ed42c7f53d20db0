import type { LaneMetrics } from "@headrace/engine"
import type { Block, Range } from "./block.ts"
import type { Intake } from "./intake.ts"
import type { Start } from "./starts.ts"

/**
 * One giving of a partition to this sink, an object of its own: what was found out for one holds for no other, since
 * in between others may have worked on the partition. `seek`: reading it already, its position is to be set anew.
 */
export interface Assignment {
  readonly how: "assign" | "seek"
}

/** What the sink was given by the group, and how far each partition of it has come. */
export class Holdings {
  readonly intake: Intake
  /** Assigned, but not begun: their committed plans come first. */
  readonly pending = new Map<number, Assignment>()
  /** Ends of finished blocks that no commit has told the group yet. */
  readonly settled = new Map<number, number>()
  /** The next offset of what is owned, as far as it is in the table. */
  readonly done = new Map<number, number>()
  /** The block whose plan is being committed, while that is not certain. */
  private uncertain: Block | undefined
  /** A partition of that block was taken away meanwhile. */
  private broken = false
  private readonly metrics: LaneMetrics

  constructor(intake: Intake, metrics: LaneMetrics) {
    this.intake = intake
    this.metrics = metrics
  }

  owns(partition: number): boolean {
    return this.intake.owned.has(partition)
  }

  give(partitions: readonly number[], how: Assignment["how"]): void {
    for (const partition of partitions) this.pending.set(partition, { how })
  }

  forget(partition: number): void {
    this.pending.delete(partition)
    this.drop(partition)
    if (this.uncertain?.plan.ranges.some(range => range.partition === partition)) this.broken = true
    this.gauge()
  }

  /** Reading begins there. */
  own(starts: readonly Start[]): void {
    for (const { partition, offset } of starts) {
      this.pending.delete(partition)
      this.done.set(partition, offset)
      this.intake.owned.add(partition)
    }
    this.gauge()
  }

  /** The group gives this sink nothing at the moment. */
  get none(): boolean {
    return this.intake.owned.size === 0 && this.pending.size === 0
  }

  /** The group may hold the block's plan from here on: nothing may be written over it. */
  planning(block: Block): void {
    this.uncertain = block
    this.broken = false
    for (const { partition } of block.plan.ranges) this.settled.delete(partition)
  }

  /** The group has the block's plan, or refused it. */
  planned(): void {
    this.uncertain = undefined
  }

  /** Whether the plan that is being committed speaks of a partition that was taken away. */
  get planBroken(): boolean {
    return this.broken
  }

  /** Of a block whose plan may or may not be there: what is still ours starts again from what the group says. */
  abandon(ranges: readonly Range[]): void {
    const ours = ranges.map(({ partition }) => partition).filter(partition => this.owns(partition))
    for (const partition of ours) this.drop(partition)
    this.give(ours, "seek")
  }

  finished(block: Block): void {
    for (const { partition, last } of block.plan.ranges) if (this.owns(partition)) this.reached(partition, last + 1)
    this.intake.recycle(block)
    this.gauge()
  }

  reached(partition: number, offset: number): void {
    this.done.set(partition, offset)
    this.settled.set(partition, offset)
  }

  gauge(): void {
    this.metrics.set("bufferedBytes", this.intake.bytes)
    this.metrics.set("partitions", this.intake.owned.size)
  }

  private drop(partition: number): void {
    this.settled.delete(partition)
    this.done.delete(partition)
    this.intake.drop(partition)
  }
}
