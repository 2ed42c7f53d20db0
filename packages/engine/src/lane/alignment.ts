import { Idleness, NO_WATERMARK, WatermarkCombiner } from "@headrace/core"
import type { Plan, SourceNode } from "headrace"
import type { LaneMetrics } from "../metrics.ts"
import { of } from "../names.ts"
import type { Task } from "../task/task.ts"
import { GroupClocks } from "./group-clocks.ts"

/** Where a source has no idle time-out: a partition without records for as long is not waited for. */
const IDLE_MS = 5_000
/** Nothing of the group is here, or all of it is idle. */
const NOTHING_TO_WAIT_FOR = Number.POSITIVE_INFINITY

/** Partitions that are to be read no further for now, and those that may go on. */
export interface Aligned {
  readonly ahead: readonly Task[]
  readonly caughtUp: readonly Task[]
}

/** The alignment groups of a pipeline: their numbers are places in it. */
export const alignmentGroups = (plan: Plan): readonly string[] => [
  ...new Set(of(plan, "source").flatMap(({ alignment }) => (alignment === undefined ? [] : [alignment.group])))
]

/**
 * Which of a lane's partitions are too far ahead of the others in their group, by event time. The one that is furthest behind
 * never is: so there always is one that is read, or that is idle soon and not waited for any more.
 */
export class Alignment {
  private readonly groups: readonly Group[]
  private readonly clocks: GroupClocks

  /** `lane`: its number among those that share `clocks`. Without them it is by itself. */
  constructor(plan: Plan, lane?: number, clocks?: SharedArrayBuffer) {
    const sources = of(plan, "source")
    this.groups = alignmentGroups(plan).map(
      name => new Group(sources.filter(({ alignment }) => alignment?.group === name))
    )
    this.clocks = new GroupClocks(this.groups.length, lane, clocks)
  }

  /**
   * Called after each poll, when its records have been run. `isHeld`: not read since an earlier look. `now` is monotonous, in ms,
   * and `wallClock` the one that lanes share.
   */
  look(
    tasks: Iterable<Task>,
    isHeld: (task: Task) => boolean,
    now: number,
    wallClock: number,
    metrics: Pick<LaneMetrics, "set">
  ): Aligned {
    const all = this.groups.length === 0 ? [] : [...tasks]
    const ahead: Task[] = []
    const caughtUp: Task[] = []
    let held = 0
    for (const [number, group] of this.groups.entries()) {
      const own = group.look(all, isHeld, now)
      this.clocks.say(number, own, wallClock)
      const least = Math.min(own, this.clocks.others(number, wallClock))
      for (const task of group.tasks) {
        const isAhead = task.watermark() - least > group.driftOf(task)
        if (isAhead) held++
        if (isAhead !== isHeld(task)) (isAhead ? ahead : caughtUp).push(task)
      }
    }
    metrics.set("heldBack", held)
    return { ahead, caughtUp }
  }

  /** The lane lives, whether it comes to look or not: what it said last still holds. */
  repeat(wallClock: number): void {
    this.clocks.repeat(wallClock)
  }
}

/** The lane's partitions of the sources of a group. */
class Group {
  private readonly sources: ReadonlyMap<string, SourceNode>
  private readonly combiner = new WatermarkCombiner<Task>({
    watermark: watermark => {
      this.reached = watermark
    },
    idle: () => {
      this.isIdle = true
    },
    active: () => {
      this.isIdle = false
    }
  })
  /** Where they stood at the last look. */
  private readonly positions = new WeakMap<Task, number>()
  private reached = NO_WATERMARK
  private isIdle = false

  constructor(sources: readonly SourceNode[]) {
    this.sources = new Map(sources.map(source => [source.topic, source]))
  }

  get tasks(): readonly Task[] {
    return this.combiner.partitions
  }

  driftOf(task: Task): number {
    return this.sources.get(task.topic)!.alignment!.maxDriftMs
  }

  /** How far they have come together. */
  look(all: readonly Task[], isHeld: (task: Task) => boolean, now: number): number {
    const { combiner, positions } = this
    const tasks = all.filter(({ topic }) => this.sources.has(topic))
    for (const task of this.tasks) if (!tasks.includes(task)) combiner.remove(task)
    for (const task of tasks) {
      const before = positions.get(task)
      const position = task.nextOffset()
      positions.set(task, position)
      if (before === undefined) combiner.add(task, task, new Idleness(this.idleMsOf(task)))
      // One that is not read cannot show that it has records.
      if (before !== position || isHeld(task)) combiner.observe(task)
    }
    combiner.periodic(now)
    return tasks.length === 0 || this.isIdle ? NOTHING_TO_WAIT_FOR : this.reached
  }

  private idleMsOf({ topic }: Task): number {
    return this.sources.get(topic)!.idleTimeoutMs ?? IDLE_MS
  }
}
