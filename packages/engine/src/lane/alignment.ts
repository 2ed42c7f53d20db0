import { Idleness } from "@headrace/core"
import type { Alignment as Bound, Plan } from "headrace"
import type { LaneMetrics } from "../metrics.ts"
import { of } from "../names.ts"
import type { Task } from "../task/task.ts"
import { GroupClocks } from "./group-clocks.ts"

/** Where a source has no idle time-out: a partition without records for as long is not waited for. */
const IDLE_MS = 5_000

/** A running partition of a source that is aligned. */
interface Member {
  readonly group: number
  readonly maxDriftMs: number
  readonly idleness: Idleness
  /** As of the last look. */
  position: number
}

/** Partitions that are to be read no further for now, and those that may go on. */
export interface Aligned {
  readonly ahead: readonly Task[]
  readonly caughtUp: readonly Task[]
}

const NONE: Aligned = { ahead: [], caughtUp: [] }

/** The alignment groups of a pipeline: their numbers are places in it. */
export const alignmentGroups = (plan: Plan): readonly string[] => [
  ...new Set(of(plan, "source").flatMap(({ alignment }) => (alignment === undefined ? [] : [alignment.group])))
]

/**
 * Which of a lane's partitions are too far ahead of the others in their group, by event time. The one that is furthest behind
 * never is: so there always is one that is read, or that is idle soon and not waited for any more.
 */
export class Alignment {
  private readonly sources: ReadonlyMap<string, { readonly bound: Bound; readonly idleMs: number }>
  private readonly groups: readonly string[]
  private readonly clocks: GroupClocks
  private readonly members = new WeakMap<Task, Member>()

  /** `lane`: its number among those that share `clocks`. Without them it is by itself. */
  constructor(plan: Plan, lane?: number, clocks?: SharedArrayBuffer) {
    this.groups = alignmentGroups(plan)
    this.clocks = new GroupClocks(this.groups.length, lane, clocks)
    this.sources = new Map(
      of(plan, "source").flatMap(({ topic, alignment: bound, idleTimeoutMs: idleMs = IDLE_MS }) =>
        bound === undefined ? [] : [[topic, { bound, idleMs }] as const]
      )
    )
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
    if (this.groups.length === 0) return NONE
    const least = this.groups.map(() => Number.POSITIVE_INFINITY)
    const all: (readonly [Task, Member])[] = []
    for (const task of tasks) {
      const member = this.memberOf(task)
      if (member === undefined) continue
      all.push([task, member])
      if (!isIdle(task, member, isHeld(task), now))
        least[member.group] = Math.min(least[member.group]!, task.watermark())
    }
    for (const [group, own] of least.entries()) {
      this.clocks.say(group, own, wallClock)
      least[group] = Math.min(own, this.clocks.others(group, wallClock))
    }
    const ahead: Task[] = []
    const caughtUp: Task[] = []
    let held = 0
    for (const [task, { group, maxDriftMs }] of all) {
      const isAhead = task.watermark() - least[group]! > maxDriftMs
      if (isAhead) held++
      if (isAhead !== isHeld(task)) (isAhead ? ahead : caughtUp).push(task)
    }
    metrics.set("heldBack", held)
    return { ahead, caughtUp }
  }

  /** The lane lives, whether it comes to look or not: what it said last still holds. */
  repeat(wallClock: number): void {
    this.clocks.repeat(wallClock)
  }

  private memberOf(task: Task): Member | undefined {
    const known = this.members.get(task)
    const source = this.sources.get(task.topic)
    if (known !== undefined || source === undefined) return known
    const { bound, idleMs } = source
    const member: Member = {
      group: this.groups.indexOf(bound.group),
      maxDriftMs: bound.maxDriftMs,
      idleness: new Idleness(idleMs),
      position: -1
    }
    this.members.set(task, member)
    return member
  }
}

/** One that is not read cannot show that it has records: it is not idle. */
const isIdle = (task: Task, member: Member, isHeld: boolean, now: number): boolean => {
  const position = task.nextOffset()
  if (isHeld || position !== member.position) member.idleness.observe()
  member.position = position
  return member.idleness.look(now)
}
