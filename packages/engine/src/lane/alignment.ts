import { Idleness, NO_WATERMARK, WatermarkCombiner } from "@headrace/core"
import type { LaneMetrics } from "../metrics.ts"
import type { TopicPartition } from "../ports/log.ts"
import type { Task } from "../task/task.ts"
import { type AlignedPartition, besideOffset } from "./aligned.ts"
import { GroupClocks } from "./group-clocks.ts"

/** Nothing of the group is here, or all of it is idle. */
const NOTHING_TO_WAIT_FOR = Number.POSITIVE_INFINITY

/** Partitions that are to be read no further for now, and those that may go on. */
export interface Aligned {
  readonly ahead: readonly Task[]
  readonly caughtUp: readonly Task[]
}

/**
 * Which of a lane's partitions are too far ahead of the others in their group, by event time. The one that is furthest behind
 * never is: so there always is one that is read, or that is idle soon and not waited for any more.
 */
export class Alignment {
  private readonly groups: readonly Group[]
  private readonly clocks: GroupClocks
  private readonly topics: ReadonlySet<string>

  /** `partitions`: all of the job. `lane`: its number among those that share `clocks`. Without them it is by itself. */
  constructor(partitions: readonly AlignedPartition[], lane = 0, clocks?: SharedArrayBuffer) {
    this.clocks = new GroupClocks(partitions, lane, clocks)
    const groups = new Set(partitions.map(({ group }) => group))
    this.groups = Array.from(groups, group => new Group(group, partitions, this.clocks))
    this.topics = new Set(partitions.map(({ topic }) => topic))
  }

  /** What is to stand beside the committed offset of a partition: other processes go by it. */
  beside(task: Task): string | undefined {
    return this.topics.has(task.topic) ? besideOffset(task.watermark(), task.readTo()) : undefined
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
    for (const group of this.groups) {
      const own = group.look(all, isHeld, now, wallClock)
      this.clocks.say(group.number, own, wallClock)
      const least = Math.min(own, this.clocks.others(group.number, wallClock))
      for (const task of group.tasks) {
        const isAhead = task.watermark() - least > group.driftOf(task)
        if (isAhead) held++
        this.clocks.hold(this.clocks.numberOf(task), isAhead ? task.nextOffset() : undefined)
        task.holdBack(isAhead && !group.isAtEnd(task, wallClock))
        if (isAhead !== isHeld(task)) (isAhead ? ahead : caughtUp).push(task)
      }
    }
    metrics.set("heldBack", held)
    return { ahead, caughtUp }
  }

  /** Where the log of a partition ends, if that was looked for: of those that are held back it is. */
  endOf(partition: TopicPartition, wallClock: number): number | undefined {
    const { clocks, topics } = this
    return topics.has(partition.topic) ? clocks.endOf(clocks.numberOf(partition), wallClock) : undefined
  }

  /** The lane lives, whether it comes to look or not: what it said last still holds. */
  repeat(wallClock: number): void {
    this.clocks.repeat(wallClock)
  }
}

/** The lane's partitions of a group. */
class Group {
  readonly number: number
  private readonly clocks: GroupClocks
  /** By topic: its first partition. */
  private readonly topics = new Map<string, AlignedPartition>()
  private readonly combiner = new WatermarkCombiner<Task>({
    watermark: watermark => {
      this.reached = watermark
    },
    idle: () => {},
    active: () => {}
  })
  /** How far they had been read at the last look. Markers, and what was aborted before them, are passed, and are nothing to wait for. */
  private readonly read = new WeakMap<Task, number>()
  private reached = NO_WATERMARK

  /** `partitions`: also those of other groups. */
  constructor(number: number, partitions: readonly AlignedPartition[], clocks: GroupClocks) {
    this.number = number
    this.clocks = clocks
    for (const one of partitions) if (one.group === number && one.partition === 0) this.topics.set(one.topic, one)
  }

  get tasks(): readonly Task[] {
    return this.combiner.partitions
  }

  driftOf(task: Task): number {
    return this.topics.get(task.topic)!.maxDriftMs
  }

  /** There is nothing more to read in it, as far as is known. */
  isAtEnd(task: Task, wallClock: number): boolean {
    return this.clocks.endOf(this.clocks.numberOf(task), wallClock) === task.nextOffset()
  }

  /** How far they have come together. */
  look(all: readonly Task[], isHeld: (task: Task) => boolean, now: number, wallClock: number): number {
    const { combiner, read } = this
    const tasks = all.filter(({ topic }) => this.topics.has(topic))
    for (const task of this.tasks) if (!tasks.includes(task)) this.remove(task)
    for (const task of tasks) {
      const before = read.get(task)
      const readTo = task.readTo()
      read.set(task, readTo)
      if (before === undefined) this.add(task)
      // One that is not read cannot show that it has records: it is silent only where its log is known to end.
      if (before !== readTo || (isHeld(task) && !this.isAtEnd(task, wallClock))) combiner.observe(task)
    }
    combiner.periodic(now)
    // Who comes, or gets on again, behind what the others had come to is waited for before it has come so far.
    return combiner.resting ? NOTHING_TO_WAIT_FOR : this.reached
  }

  private add(task: Task): void {
    this.combiner.add(task, task, new Idleness(this.topics.get(task.topic)!.idleMs))
    this.clocks.take(this.clocks.numberOf(task))
  }

  private remove(task: Task): void {
    this.combiner.remove(task)
    this.clocks.leave(this.clocks.numberOf(task), task.watermark())
  }
}
