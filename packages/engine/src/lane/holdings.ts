import type { Position, TopicPartition } from "../ports/log.ts"
import type { Restored } from "../recovery/restore.ts"
import type { StateMemory } from "../task/memory.ts"
import type { Task } from "../task/task.ts"
import type { Aligned } from "./alignment.ts"
import { Arrivals } from "./arrivals.ts"
import type { Command } from "./events.ts"
import { Tasks } from "./tasks.ts"

/**
 * The partitions that a lane has of its group: those that run, those that arrive, and those that the group wants back or
 * has taken. Answers with the commands that follow. Which client calls are under way is known here, so that nothing is
 * handed over, aligned or begun anew in the middle of one.
 */
export class Holdings {
  readonly tasks: Tasks
  private readonly arrivals = new Arrivals()
  private readonly makeTask: (partition: TopicPartition) => Task
  private leaving: readonly TopicPartition[] | undefined
  private placing = 0
  /** Of those that run: not read for now. */
  private readonly heldBack = new WeakSet<Task>()

  /** `topic`: the name behind a topic id in `Batch.index`. `memory`: of the state of all of them. */
  constructor(topic: (id: number) => string, memory: StateMemory, makeTask: (partition: TopicPartition) => Task) {
    this.tasks = new Tasks(topic, memory)
    this.makeTask = makeTask
  }

  /** Those that run and those that arrive. */
  get all(): readonly Task[] {
    return [...this.tasks.all(), ...this.arrivals.all()]
  }

  /** A call under way tells the client which partitions to read, and where. */
  get moving(): boolean {
    return this.placing > 0
  }
  get arriving(): boolean {
    return this.arrivals.size > 0
  }
  /** The group waits for partitions, or for being told that their loss was seen. */
  get owing(): boolean {
    return this.leaving !== undefined
  }
  /** Some of them run: what is open of theirs has to be committed first. */
  get owingRunning(): boolean {
    return this.leaving?.some(partition => this.tasks.of(partition) !== undefined) === true
  }
  isHeldBack(task: Task): boolean {
    return this.heldBack.has(task)
  }
  awaits(task: Task): boolean {
    return this.arrivals.has(task)
  }

  // ── what the group does ────────────────────────────────────────────────────────────────────────────────────────

  /** Given partitions are taken at once, so that the group goes on; they run when their state is back. */
  take(partitions: readonly TopicPartition[]): readonly Command[] {
    return this.place({ type: "take", tasks: this.expect(partitions) })
  }

  /** The group wants these back, or has taken them. */
  owe(partitions: readonly TopicPartition[]): readonly Command[] {
    this.leaving = partitions
    return this.abandon(partitions)
  }

  /** Answers the group; call it when nothing of these partitions is open. */
  giveBack(): readonly Command[] {
    const partitions = this.leaving ?? []
    this.tasks.remove(partitions)
    return this.place({ type: "unassign", partitions })
  }

  abandonAll(): readonly Command[] {
    return this.abandon(this.arrivals.all())
  }

  // ── from arriving to running ───────────────────────────────────────────────────────────────────────────────────

  /** Asks for the state of those that are new. */
  begin(): readonly Command[] {
    return this.arrivals.begin().map(task => ({ type: "restore", task }))
  }

  /** The same, and starts those that have it, while the others go on. */
  advance(): readonly Command[] {
    const commands = this.begin()
    const arrived = this.arrivals.take()
    if (arrived.length === 0) return commands
    for (const { task, at } of arrived) task.start(at)
    this.tasks.put(arrived.map(one => one.task))
    const positions: readonly Position[] = arrived.map(one => one.at)
    return [...commands, ...this.place({ type: "seek", positions })]
  }

  /** Reads those that run ahead no further, and those that did from where they stand. Not while something moves. */
  align({ ahead, caughtUp }: Aligned): readonly Command[] {
    for (const task of ahead) this.heldBack.add(task)
    for (const task of caughtUp) this.heldBack.delete(task)
    const positions = caughtUp.map(task => ({
      topic: task.topic,
      partition: task.partition,
      offset: task.nextOffset()
    }))
    return [
      ...(ahead.length === 0 ? [] : this.place({ type: "pause", tasks: ahead })),
      ...(positions.length === 0 ? [] : this.place({ type: "seek", positions }))
    ]
  }

  /** Throws the state of all that runs away: it comes back from the log, but for what is to be given back. */
  renew(): readonly Command[] {
    this.tasks.remove(this.leaving ?? [])
    const running = [...this.tasks.all()]
    this.tasks.remove(running)
    // Of those that are held back nothing is read anyway.
    this.arrivals.held(this.expect(running.filter(task => this.isHeldBack(task))))
    const read = this.expect(running.filter(task => !this.isHeldBack(task)))
    return read.length === 0 ? [] : this.place({ type: "pause", tasks: read })
  }

  restored(task: Task, at: Restored): void {
    this.arrivals.restored(task, at)
  }

  held(tasks: readonly Task[]): void {
    this.arrivals.held(tasks)
    this.placing--
  }

  sought(): void {
    this.placing--
  }

  unassigned(): void {
    this.leaving = undefined
    this.placing--
  }

  private place(command: Command): readonly Command[] {
    this.placing++
    return [command]
  }

  private expect(partitions: readonly TopicPartition[]): readonly Task[] {
    const tasks = partitions.map(this.makeTask)
    for (const task of tasks) this.arrivals.add(task)
    return tasks
  }

  private abandon(partitions: readonly TopicPartition[]): readonly Command[] {
    const tasks = this.arrivals.drop(partitions)
    return tasks.length === 0 ? [] : [{ type: "abandon", tasks }]
  }
}
