import type { TopicPartition } from "../ports/log.ts"
import type { Restored } from "../recovery/restore.ts"
import type { Task } from "../task/task.ts"
import { nameOf } from "./tasks.ts"

/** A partition on its way in. It may run once the client holds it and its state is back, whichever comes first. */
interface Arrival {
  readonly task: Task
  /** Its state is being brought back, or is back. */
  begun: boolean
  held: boolean
  at: Restored | undefined
}

export interface Arrived {
  readonly task: Task
  readonly at: Restored
}

/**
 * The partitions of a lane that do not run yet: the group just gave them, or their state was thrown away. What is said
 * of a task that is none of them any more is ignored: it was given back in the meantime.
 */
export class Arrivals {
  private readonly byName = new Map<string, Arrival>()

  get size(): number {
    return this.byName.size
  }

  add(task: Task): void {
    this.byName.set(nameOf(task), { task, begun: false, held: false, at: undefined })
  }

  has(task: Task): boolean {
    return this.of(task) !== undefined
  }

  /** Those whose state nobody has asked for so far. */
  begin(): readonly Task[] {
    const waiting = [...this.byName.values()].filter(one => !one.begun)
    for (const one of waiting) one.begun = true
    return waiting.map(one => one.task)
  }

  held(tasks: readonly Task[]): void {
    for (const task of tasks) {
      const arrival = this.of(task)
      if (arrival !== undefined) arrival.held = true
    }
  }

  restored(task: Task, at: Restored): void {
    const arrival = this.of(task)
    if (arrival !== undefined) arrival.at = at
  }

  /** Those that may run now. They are no longer arriving. */
  take(): readonly Arrived[] {
    const arrived: Arrived[] = []
    for (const [name, { task, held, at }] of this.byName) {
      if (!held || at === undefined) continue
      arrived.push({ task, at })
      this.byName.delete(name)
    }
    return arrived
  }

  /** Forgets those of these partitions that are arriving, and answers with their tasks. */
  drop(partitions: readonly TopicPartition[]): readonly Task[] {
    return partitions.flatMap(partition => {
      const name = nameOf(partition)
      const arrival = this.byName.get(name)
      this.byName.delete(name)
      return arrival === undefined ? [] : [arrival.task]
    })
  }

  all(): readonly Task[] {
    return Array.from(this.byName.values(), one => one.task)
  }

  private of(task: Task): Arrival | undefined {
    const arrival = this.byName.get(nameOf(task))
    return arrival?.task === task ? arrival : undefined
  }
}
