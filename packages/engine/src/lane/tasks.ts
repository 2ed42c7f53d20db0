import type { LaneMetrics } from "../metrics.ts"
import { type Batch, PARTITION, type Position, STRIDE, TOPIC, type TopicPartition } from "../ports/log.ts"
import type { StateMemory } from "../task/memory.ts"
import type { Task, TaskMatch } from "../task/task.ts"
import type { Halt } from "./events.ts"

/** The tasks of the partitions that a lane owns, as one: what a batch runs through. */
export class Tasks {
  private readonly byName = new Map<string, Task>()
  /** By topic id and partition, for the loop over a batch. */
  private routes: (Task | undefined)[][] = []
  /** Some have gone since the last report. */
  /** Some came or went since they were reported. */
  private moved = false
  private readonly topic: (id: number) => string
  private readonly memory: StateMemory

  /** `topic`: the name behind a topic id in `Batch.index`. `memory`: of the state of all of them. */
  constructor(topic: (id: number) => string, memory: StateMemory) {
    this.topic = topic
    this.memory = memory
  }

  get size(): number {
    return this.byName.size
  }
  all(): Iterable<Task> {
    return this.byName.values()
  }
  of(partition: TopicPartition): Task | undefined {
    return this.byName.get(nameOf(partition))
  }

  /** In place of those of the same partitions. */
  put(tasks: readonly Task[]): void {
    for (const task of tasks) {
      this.of(task)?.close()
      this.byName.set(nameOf(task), task)
    }
    this.moved = true
    this.routes = []
  }

  remove(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      this.of(partition)?.interrupt()
      this.of(partition)?.close()
      if (this.byName.delete(nameOf(partition))) this.moved = true
    }
    this.routes = []
  }

  /** Runs a batch: one run of records of the same partition after the other. `halting`: nothing from outside any more. */
  run(batch: Batch, halting: boolean): void {
    const { index, count } = batch
    let from = 0
    while (from < count) {
      const topic = index[from * STRIDE + TOPIC]!
      const partition = index[from * STRIDE + PARTITION]!
      let to = from + 1
      while (to < count && index[to * STRIDE + PARTITION] === partition && index[to * STRIDE + TOPIC] === topic) to++
      const task = this.at(topic, partition)
      if (task.internal || !halting) task.process(batch, from, to)
      from = to
    }
    this.memory.relieve()
  }

  /** A transaction has been sealed: all state is as it says. */
  sealed(): void {
    this.memory.sealed()
  }

  /** State takes more memory than it may. */
  get overfull(): boolean {
    return this.memory.overfull
  }

  /** It does, and there is more of it that can leave at any time. */
  get relievable(): boolean {
    return this.memory.overfull && this.memory.draining
  }

  /** Lets a slice of it leave. */
  relieve(): void {
    this.memory.relieve()
  }

  /** What is to be known of them from outside. */
  report(metrics: LaneMetrics): void {
    this.moved = false
    const { bytes } = this.memory.size()
    metrics.set("watermark", this.watermark)
    const times = this.begun
    metrics.set("watermarkBehind", Math.min(...times))
    metrics.set("watermarkAhead", Math.max(...times))
    metrics.set("stateBytes", bytes)
    metrics.set("stateBound", this.memory.boundBytes)
    metrics.states.write(Array.from(this.all(), task => task.sizes()).flat())
  }

  /** The same where some came or went: a lane that has given away what it had may never seal again. */
  reportMoved(metrics: LaneMetrics): void {
    if (this.moved) this.report(metrics)
  }

  /** What pattern steps have under way in a key. */
  openMatches(key: string): readonly TaskMatch[] {
    return Array.from(this.all(), task => task.openMatches(key)).flat()
  }

  /** Emits up to `limit` results that wait; false if there were none. */
  fire(limit: number): boolean {
    let left = limit
    for (const task of this.all()) if (left > 0 && task.pending()) left -= task.proceed(left)
    return left < limit
  }

  /** Brings those to rest where nothing is to come any more; whether something happened in that. */
  rest({ number, drain }: Halt): boolean {
    let some = false
    for (const task of this.all()) {
      if (drain && task.inFlight() === 0) some = task.end() || some
      some = task.halt(number) || some
    }
    return some
  }

  /** Those that have come to rest. */
  halted({ number }: Halt): readonly Task[] {
    return [...this.all()].filter(task => task.halted(number))
  }

  /** Takes up what asynchronous steps finished; whether there is something to commit now. */
  release(): boolean {
    let touched = false
    for (const task of this.all()) {
      task.release()
      touched ||= task.touched()
    }
    return touched
  }

  interrupt(): void {
    for (const task of this.all()) task.interrupt()
  }

  /** Results wait to be emitted. */
  get firing(): boolean {
    for (const task of this.all()) if (task.pending()) return true
    return false
  }
  /** Some partition is part of the next transaction. */
  get touched(): boolean {
    for (const task of this.all()) if (task.touched()) return true
    return false
  }
  /** A transaction may close now. */
  get closable(): boolean {
    for (const task of this.all()) if (!task.closable()) return false
    return true
  }
  /** An asynchronous step may keep a transaction from closing. */
  get mayWait(): boolean {
    for (const task of this.all()) if (task.mayWait()) return true
    return false
  }
  get inFlight(): number {
    let sum = 0
    for (const task of this.all()) sum += task.inFlight()
    return sum
  }
  /** The lowest of the partitions, in event time ms. */
  private get watermark(): number {
    let lowest = Number.POSITIVE_INFINITY
    for (const task of this.all()) lowest = Math.min(lowest, task.watermark())
    return lowest
  }
  /** Of the sources' partitions whose event time has begun, and has not ended, where it stands. */
  private get begun(): readonly number[] {
    return Array.from(this.all(), task => (task.internal ? Number.NaN : task.watermark())).filter(Number.isFinite)
  }
  /** The next offset of each partition. */
  get positions(): readonly Position[] {
    return Array.from(this.all(), task => ({
      topic: task.topic,
      partition: task.partition,
      offset: task.committable()
    }))
  }

  private at(topic: number, partition: number): Task {
    const ofTopic = (this.routes[topic] ??= [])
    const known = ofTopic[partition]
    if (known !== undefined) return known
    const place = { topic: this.topic(topic), partition }
    const task = this.of(place)
    if (task === undefined) throw new Error(`Records of ${nameOf(place)} arrived, which this lane does not own`)
    ofTopic[partition] = task
    return task
  }
}

export const nameOf = (partition: TopicPartition): string => `${partition.topic}/${partition.partition}`
