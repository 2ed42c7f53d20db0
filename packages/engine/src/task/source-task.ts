import {
  type ByteWriter,
  DecodeError,
  END_OF_TIME,
  type Input,
  NO_WATERMARK,
  PartitionState,
  SourceClock,
  SpillError,
  type Stateful
} from "@headrace/core"
import type { SourceNode } from "headrace"
import { type LaneMetrics, NO_RECORD } from "../metrics.ts"
import { sourceTopics } from "../names.ts"
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
import { buildChain, type Chain, type ChainParts } from "./chain.ts"
import type { Resident, StateMemory } from "./memory.ts"
import type { Outputs } from "./outputs.ts"
import type { Task } from "./task.ts"

/** What the tasks of a lane are made with. */
export interface TaskParts extends ChainParts {
  /** By source topic. */
  readonly decoders: ReadonlyMap<string, PreparedDecoder>
  readonly metrics: LaneMetrics
  /** What bounds the state of all partitions. */
  readonly memory: StateMemory
}

/** Builds the task of a partition from the plan. */
export const makeTask = (parts: TaskParts, partition: TopicPartition, outputs: () => Outputs): Task => {
  const source = parts.plan.nodes.find(
    (node): node is SourceNode => node.kind === "source" && node.topic === partition.topic
  )
  if (source === undefined) throw new Error(`The plan has no source ${partition.topic}`)
  return new SourceTask(parts, source, partition, outputs)
}

/** A source partition: decodes, takes event time, runs the chain and advances the watermark. */
class SourceTask implements Task {
  readonly topic: string
  readonly partition: number
  private readonly source: SourceNode
  private readonly eventTime: ((record: object) => number) | undefined
  private readonly metrics: LaneMetrics
  private readonly outputs: () => Outputs
  private readonly parts: TaskParts
  private readonly memory: StateMemory
  private readonly decoder: PreparedDecoder
  private clock!: SourceClock
  private chain!: Chain
  private head!: Input
  private state!: PartitionState
  private resident!: Resident
  private position = -1
  private beganAt = -1
  private current = NO_WATERMARK
  private isTouched = false
  /** The steps have not heard of the watermark that was restored. */
  private resuming = false
  private ended = false
  private readonly number: number
  /** The plan's nodes of the operators that have state. */
  private nodes: readonly number[] = []
  private reported = { late: 0, dropped: 0 }

  constructor(parts: TaskParts, source: SourceNode, partition: TopicPartition, outputs: () => Outputs) {
    this.topic = partition.topic
    this.partition = partition.partition
    this.source = source
    this.eventTime = source.eventTime as typeof this.eventTime
    this.metrics = parts.metrics
    this.number = sourceTopics(parts.plan).indexOf(source.topic)
    this.parts = parts
    this.outputs = outputs
    this.memory = parts.memory
    const decoder = parts.decoders.get(source.topic)
    if (decoder === undefined) throw new Error(`No decoder was made for ${source.topic}`)
    this.decoder = decoder
    this.build()
  }

  reset(): void {
    this.resident.leave()
    this.build()
  }

  start({ offset, committed }: { readonly offset: number; readonly committed: number }): void {
    this.position = offset
    this.beganAt = committed
    this.isTouched = offset !== committed
    this.current = this.clock.watermark()
    this.resuming = this.current > NO_WATERMARK
  }

  startedAt(): number {
    return this.beganAt
  }

  process(batch: Batch, from: number, to: number): void {
    if (this.current === END_OF_TIME) throw this.drained()
    this.isTouched = true
    this.resume()
    const { context } = this.chain
    context.bytes = batch.bytes
    const { index, stamps } = batch
    this.metrics.within(this.number, this.partition)
    for (let i = from; i < to; i++) {
      const at = i * STRIDE
      context.keyStart = index[at + KEY_START]!
      context.keyLength = index[at + KEY_LENGTH]!
      context.valueStart = index[at + VALUE_START]!
      context.valueLength = index[at + VALUE_LENGTH]!
      context.offset = stamps[i * 2]!
      this.metrics.at(context.offset)
      context.timestamp = stamps[i * 2 + 1]!
      this.record()
      context.bytes = batch.bytes
    }
    this.position = stamps[(to - 1) * 2]! + 1
    this.advance()
    this.metrics.at(NO_RECORD)
  }

  end(): boolean {
    if (this.ended) return false
    this.ended = true
    this.isTouched = true
    this.chain.context.clear(this.position)
    this.resume()
    this.clock.observe(END_OF_TIME)
    this.advance()
    return true
  }

  pass(offset: number): void {
    this.isTouched = true
    this.position = offset
  }

  pending(): boolean {
    return this.beganAt >= 0 && this.chain.timed.some(one => one.pending)
  }

  proceed(limit: number): number {
    this.isTouched = true
    this.chain.context.clear(this.position)
    let left = limit
    try {
      for (const one of this.chain.timed) if (one.pending && left > 0) left -= one.proceed(left)
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

  committable(): number {
    const oldest = this.oldest()
    return oldest === undefined ? this.position : oldest.offset
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

  /** The clock goes to what the committed records made it, not to what records still under way did. */
  delta(out: ByteWriter): void {
    const { maxTimestamp } = this.clock
    this.clock.maxTimestamp = this.oldest()?.clock ?? maxTimestamp
    this.state.delta(out)
    this.clock.maxTimestamp = maxTimestamp
    this.isTouched = false
    this.report()
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    this.memory.guard(() => this.state.restore(key, value))
    this.resident.restored(key.length + value.length)
  }

  apply(changes: Uint8Array): void {
    this.memory.guard(() => this.state.apply(changes))
    this.resident.restored(changes.length)
  }

  sizes(): readonly StateRow[] {
    const { number: source, partition } = this
    return this.chain.stateful.map(({ memory }, i) => ({ source, partition, node: this.nodes[i]!, ...memory.size() }))
  }

  watermark(): number {
    return this.current
  }

  interrupt(): void {
    for (const step of this.chain.asyncSteps) step.interrupt()
  }

  close(): void {
    this.resident.leave()
  }

  private build(): void {
    const { parts, source, outputs } = this
    this.clock = new SourceClock(source.id, source.outOfOrdernessMs)
    const head = { id: source.id, shape: { kind: "view", decoder: this.decoder, names: [] }, keyed: undefined } as const
    const diverts = source.onDecodeError.kind === "deadLetter"
    this.chain = buildChain(parts, [head], this, outputs, () => this.clock.maxTimestamp, diverts)
    this.head = this.chain.inputs[0]!
    this.nodes = this.chain.stateful.map(({ id }) => parts.plan.nodes.findIndex(node => node.id === id))
    const stateful: Stateful[] = [this.clock, ...this.chain.stateful]
    this.state = new PartitionState(stateful)
    this.resident = this.memory.admit(this.state)
  }

  private oldest(): { readonly offset: number; readonly clock: number } | undefined {
    let oldest: { readonly offset: number; readonly clock: number } | undefined
    for (const step of this.chain.asyncSteps) {
      const one = step.oldest
      if (one !== undefined && (oldest === undefined || one.offset < oldest.offset)) oldest = one
    }
    return oldest
  }

  /** One record through the chain. What is thrown names the record: it is all that a person has to go by. */
  private record(): void {
    const { context } = this.chain
    let view: object
    try {
      view = this.decoder.view(context.bytes, context.valueStart, Math.max(0, context.valueLength))
    } catch (error) {
      return this.undecodable(error)
    }
    try {
      const timestamp = this.eventTime === undefined ? context.timestamp : this.eventTime(view)
      this.clock.observe(timestamp)
      this.head.next(view, timestamp)
    } catch (cause) {
      throw this.failed(this.where(), cause)
    }
  }

  private failed(where: string, cause: unknown): LogError {
    if (cause instanceof LogError) return cause
    if (cause instanceof SpillError) return this.memory.full(cause)
    return new LogError("Stop", `The pipeline failed at ${where}: ${messageOf(cause)}`, { cause })
  }

  private undecodable(error: unknown): void {
    const { onDecodeError } = this.source
    if (!(error instanceof DecodeError)) throw error
    if (onDecodeError.kind === "deadLetter") return this.chain.deadLetter(onDecodeError.topic, error)
    throw new LogError(
      "Stop",
      `Cannot decode ${this.where()}: ${error.message} (${error.reason}). ` +
        "Nothing after it was processed. Set onDecodeError: DeadLetter.to(topic) on the source to divert such records.",
      { cause: error }
    )
  }

  /** All windows have been closed for good: every record would be late, whatever its time. */
  private drained(): LogError {
    return new LogError(
      "Stop",
      `${this.topic}/${this.partition} was drained (--drain): its event time has ended, and there are records behind offset ${this.position}. ` +
        "Start over under another name (--app), or go back to a savepoint that was taken without --drain"
    )
  }

  private where(): string {
    return `${this.topic}/${this.partition} at offset ${this.chain.context.offset}`
  }

  /**
   * Tells the steps where event time stood. Windows may fire by it (the watermark had been waiting in an asynchronous
   * step), so it comes with the first records and never alone: results belong to a transaction that moves the offset.
   */
  private resume(): void {
    if (!this.resuming) return
    this.resuming = false
    this.head.watermark(this.current)
  }

  private advance(): void {
    const watermark = this.clock.watermark()
    if (watermark <= this.current) return
    this.current = watermark
    this.head.watermark(watermark)
  }

  private report(): void {
    let late = 0
    let dropped = 0
    for (const one of this.chain.lates) {
      late += one.count
      dropped += one.dropped
    }
    this.metrics.add("late", late - this.reported.late)
    this.metrics.add("lateDropped", dropped - this.reported.dropped)
    this.reported = { late, dropped }
  }
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))
