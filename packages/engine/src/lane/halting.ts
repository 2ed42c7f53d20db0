import type { Task } from "../task/task.ts"
import type { Command, Halt } from "./events.ts"
import type { Holdings } from "./holdings.ts"

/**
 * The job comes to rest, and may go on. Meanwhile nothing is read in vain of what comes from outside: it is left for whoever
 * goes on, and read again from where it was left. Not while something moves.
 */
export class Halting {
  /** The job comes to rest: what comes from outside from then on is left. */
  halt: Halt | undefined
  private readonly holdings: Holdings
  /** It goes on after a halt. */
  private resuming = false

  constructor(holdings: Holdings) {
    this.holdings = holdings
  }

  begin(halt: Halt): void {
    this.halt = halt
  }

  end(): void {
    this.resuming ||= this.halt !== undefined
    this.halt = undefined
  }

  /** Nothing is taken in from outside. */
  get closed(): boolean {
    return this.halt !== undefined || this.resuming
  }

  /** Reads no further what is being read from outside. */
  close(): readonly Command[] {
    return this.closed && !this.holdings.moving ? this.holdings.align({ ahead: this.read, caughtUp: [] }) : []
  }

  /**
   * Each partition comes to rest by itself, those of a source first; whether one has. The lane stays, and takes what the group
   * gives it: it is told to stop when all lanes have none left.
   */
  rest(): boolean {
    return this.halt !== undefined && this.holdings.tasks.rest(this.halt)
  }

  /** What has come to rest. */
  get halted(): readonly Task[] {
    return this.halt === undefined ? [] : this.holdings.tasks.halted(this.halt)
  }

  /** Behind a poll: what one that had been under way brought of them was dropped. */
  goOn(): readonly Command[] {
    const { holdings } = this
    if (!this.resuming || holdings.moving || this.read.length > 0) return []
    this.resuming = false
    const tasks = [...holdings.tasks.all()]
    for (const task of tasks) task.goOn()
    return holdings.align({ ahead: [], caughtUp: tasks.filter(task => !task.internal) })
  }

  /** What is read from outside. */
  private get read(): readonly Task[] {
    return [...this.holdings.tasks.all()].filter(task => !task.internal && !this.holdings.isHeldBack(task))
  }
}
