import { type ByteWriter, keysOf, PartitionState, SpillError, type Stateful, type StoredBlock } from "@headrace/core"
import { type LaneMetrics, NO_RECORD } from "../metrics.ts"
import { inputTopics } from "../names.ts"
import type { PreparedDecoder } from "../ports/codecs.ts"
import {
  type Batch,
  KEY_LENGTH,
  KEY_START,
  LogError,
  STRIDE,
  type TopicPartition,
  VALUE_LENGTH,
  VALUE_START
} from "../ports/log.ts"
import type { StateRow } from "../state-sizes.ts"
import type { Chain, ChainParts } from "./chain.ts"
import type { Crossing } from "./crossing.ts"
import type { Resident, StateMemory } from "./memory.ts"
import type { Timed } from "./operators.ts"
import type { Outputs } from "./outputs.ts"
import type { Task, TaskMatch } from "./task.ts"

/** What the tasks of a lane are made with. */
export interface TaskParts extends ChainParts {
  readonly app: string
  /** By the id of the source or exchange. */
  readonly decoders: ReadonlyMap<string, PreparedDecoder>
  readonly metrics: LaneMetrics
  /** What bounds the state of all partitions. */
  readonly memory: StateMemory
}

/** What a task makes anew when its state is thrown away. */
export interface Built {
  readonly chain: Chain
  /** Event time: state beside that of the steps. */
  readonly clocks: readonly Stateful[]
  /** What is due by itself beside the steps. */
  readonly timed: readonly Timed[]
}

/** One partition of a log: its records run through the chain, and what they make of state goes into the transaction. */
export abstract class PartitionTask implements Task {
  readonly topic: string
  readonly partition: number
  abstract readonly internal: boolean
  protected readonly parts: TaskParts
  protected readonly outputs: () => Outputs
  protected chain!: Chain
  protected position = -1
  private read = -1
  protected isTouched = false
  private state!: PartitionState
  private resident!: Resident
  private timed!: readonly Timed[]
  private beganAt = -1
  /** The halt after which nothing happens here any more. */
  private haltedAt: number | undefined
  private readonly number: number
  /** The plan's nodes of the operators that have state. */
  private nodes: readonly number[] = []
  private reported = nothing()

  constructor(parts: TaskParts, partition: TopicPartition, outputs: () => Outputs) {
    this.topic = partition.topic
    this.partition = partition.partition
    this.parts = parts
    this.outputs = outputs
    this.number = inputTopics(parts.plan, parts.app).indexOf(partition.topic)
  }

  /** Chain and event time, new. Called by the constructor of each kind of task, and by `reset`. */
  protected abstract make(): Built
  /** One record, which the chain's context stands on. */
  protected abstract record(): void
  /** Behind a run of records. */
  protected abstract ran(records: number): void
  /** Tells the steps where event time stands, if it has begun: nothing comes of that before `proceed`. */
  protected abstract tell(): void
  /** Nothing comes for the time being. */
  protected abstract readonly isIdle: boolean
  /** Nothing is to be read any more because of this halt: all that comes before is here. */
  protected abstract exhausted(halt: number): boolean
  abstract watermark(): number
  abstract end(): boolean

  halt(number: number): boolean {
    if (this.haltedAt === number || this.pending() || this.inFlight() > 0 || !this.exhausted(number)) return false
    const { crossings, rounds } = this.chain
    const isRound = (crossing: Crossing) => [...rounds.values()].includes(crossing)
    if (crossings.length === 0) {
      this.haltedAt = number
      return false
    }
    this.isTouched = true
    this.haltedAt = number
    for (const crossing of crossings) if (!isRound(crossing)) crossing.halt(number)
    return true
  }

  goOn(): void {
    this.haltedAt = undefined
  }

  halted(number: number): boolean {
    return this.haltedAt === number
  }

  reset(): void {
    this.resident.leave()
    this.build()
  }

  /**
   * The event time that was restored may not have been told everywhere: its watermark had been waiting in an asynchronous
   * step, or kept its distance from the one before. What that makes due comes by `proceed`, in a transaction of which the
   * partition is part, and waits for no record: there may be none.
   */
  start({ offset, committed }: { readonly offset: number; readonly committed: number }): void {
    this.position = offset
    this.read = offset
    this.beganAt = committed
    this.isTouched = offset !== committed
    this.tell()
  }

  startedAt(): number {
    return this.beganAt
  }

  process(batch: Batch, from: number, to: number): void {
    this.isTouched = true
    const { context } = this.chain
    const { metrics } = this.parts
    context.bytes = batch.bytes
    const { index, stamps } = batch
    metrics.within(this.number, this.partition)
    for (let i = from; i < to; i++) {
      const at = i * STRIDE
      context.keyStart = index[at + KEY_START]!
      context.keyLength = index[at + KEY_LENGTH]!
      context.valueStart = index[at + VALUE_START]!
      context.valueLength = index[at + VALUE_LENGTH]!
      context.offset = stamps[i * 2]!
      metrics.at(context.offset)
      context.timestamp = stamps[i * 2 + 1]!
      this.record()
      context.bytes = batch.bytes
    }
    this.position = stamps[(to - 1) * 2]! + 1
    this.read = this.position
    this.ran(to - from)
    metrics.at(NO_RECORD)
  }

  pass(offset: number): void {
    this.isTouched = true
    this.position = offset
  }

  pending(): boolean {
    return this.beganAt >= 0 && this.haltedAt === undefined && this.timed.some(one => one.pending)
  }

  proceed(limit: number): number {
    this.isTouched = true
    this.chain.context.clear(this.position)
    let left = limit
    try {
      for (const one of this.timed) if (one.pending && left > 0) left -= one.proceed(left)
    } catch (cause) {
      throw this.failed(`what was due in ${this.topic}/${this.partition} before offset ${this.position}`, cause)
    }
    return limit - left
  }

  release(): void {
    const before = this.inFlight()
    for (const step of this.chain.asyncSteps) step.release()
    if (this.inFlight() !== before) this.isTouched = true
  }

  nextOffset(): number {
    return this.position
  }

  readTo(): number {
    return this.read
  }

  holdBack(_isHeld: boolean): void {}

  committable(): number {
    return this.position
  }

  inFlight(): number {
    return this.chain.asyncSteps.reduce((sum, step) => sum + step.size, 0)
  }

  closable(): boolean {
    return !this.mayWait() || this.inFlight() === 0
  }

  mayWait(): boolean {
    return !this.chain.prefixSafe && this.chain.asyncSteps.length > 0
  }

  touched(): boolean {
    return this.isTouched
  }

  delta(out: ByteWriter): void {
    const rests = this.rests
    for (const crossing of this.chain.crossings) {
      if (rests) crossing.rest()
      crossing.settle()
    }
    this.state.delta(out)
    this.isTouched = false
    this.report()
  }

  restore({ bytes, index }: StoredBlock): number {
    const entries = this.parts.memory.guard(() => this.state.putBack(bytes, index))
    this.resident.restored(bytes.length)
    return entries
  }

  apply(changes: Uint8Array): void {
    this.parts.memory.guard(() => this.state.apply(changes))
    this.resident.restored(changes.length)
  }

  sizes(): readonly StateRow[] {
    const { number: source, partition } = this
    return this.chain.stateful.map(({ memory }, i) => ({ source, partition, node: this.nodes[i]!, ...memory.size() }))
  }

  openMatches(key: string): readonly TaskMatch[] {
    const { topic, partition } = this
    return this.chain.patterns.flatMap(operator =>
      keysOf(key).flatMap(one =>
        operator.openMatches(one).map(match => ({ node: operator.id, topic, partition, key, ...match }))
      )
    )
  }

  interrupt(): void {
    for (const step of this.chain.asyncSteps) step.interrupt()
  }

  close(): void {
    this.resident.leave()
  }

  protected build(): void {
    const { plan, memory } = this.parts
    const { chain, clocks, timed } = this.make()
    this.chain = chain
    this.timed = [...chain.timed, ...chain.crossings, ...timed]
    this.nodes = chain.stateful.map(({ id }) => plan.nodes.findIndex(node => node.id === id))
    this.state = new PartitionState([...clocks, ...chain.stateful])
    this.resident = memory.admit(this.state)
  }

  /** What is thrown names the record: it is all that a person has to go by. */
  protected failed(where: string, cause: unknown): LogError {
    if (cause instanceof LogError) return cause
    if (cause instanceof SpillError) return this.parts.memory.full(cause)
    return new LogError("Stop", `The pipeline failed at ${where}: ${stackOf(cause)}`, { cause })
  }

  protected where(): string {
    return `${this.topic}/${this.partition} at offset ${this.chain.context.offset}`
  }

  /** Not while something is still to come of what came before. */
  private get rests(): boolean {
    return this.isIdle && this.inFlight() === 0 && !this.chain.timed.some(one => one.pending)
  }

  private report(): void {
    const now = nothing()
    for (const one of this.chain.lates) {
      now.late += one.count
      now.lateDropped += one.dropped
      now.inNoWindow += one.between
    }
    for (const one of this.chain.patterns) {
      now.partialsOverflowed += one.totals.overflowed
      now.partialsDropped += one.totals.dropped
      now.partialsTimedOut += one.totals.timedOut
      now.patternsRefused += one.totals.refused
    }
    for (const name of REPORTED) this.parts.metrics.add(name, now[name] - this.reported[name])
    this.reported = now
  }
}

const nothing = () => ({
  ...{ late: 0, lateDropped: 0, inNoWindow: 0 },
  ...{ partialsOverflowed: 0, partialsDropped: 0, partialsTimedOut: 0, patternsRefused: 0 }
})

const REPORTED = Object.keys(nothing()) as readonly (keyof ReturnType<typeof nothing>)[]

const stackOf = (cause: unknown): string => (cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))
