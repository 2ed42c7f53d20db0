import {
  ByteWriter,
  blockOf,
  ChangeSet,
  type Input,
  type Keyed,
  keyed,
  NO_WATERMARK,
  PartitionState,
  PUNCTUATED,
  SourceClock,
  StageClock,
  type Stateful
} from "@headrace/core"
import { buildChain, type Chain, type ChainParts, IdleWatch, type Outputs, tellSides } from "@headrace/engine"
import type { ExchangeNode, SourceNode } from "headrace"

/** One partition of a log: what `Task` is to a lane, without a log to read. */
abstract class Partition {
  readonly topic: string
  readonly partition: number
  protected chain!: Chain
  private state!: PartitionState
  protected readonly parts: ChainParts
  private readonly outputs: Outputs

  constructor(parts: ChainParts, topic: string, partition: number, outputs: Outputs) {
    this.parts = parts
    this.topic = topic
    this.partition = partition
    this.outputs = outputs
  }

  protected abstract readonly heads: Parameters<typeof buildChain>[1]
  /** Event time, anew: it is state beside that of the operators. */
  protected abstract clocks(): readonly Stateful[]

  build(): void {
    const clocks = this.clocks()
    this.chain = buildChain(
      this.parts,
      this.heads,
      this,
      () => this.outputs,
      () => NO_WATERMARK
    )
    this.state = new PartitionState([...clocks, ...this.chain.stateful])
  }

  /** Nothing comes for the time being. */
  protected abstract readonly isIdle: boolean

  /** Works off what is due; whether there was anything. */
  proceed(): boolean {
    let some = false
    for (const step of this.chain.asyncSteps) step.release()
    for (const crossing of this.chain.crossings) crossing.settle()
    for (const one of this.chain.timed) if (one.pending) some = one.proceed(Number.MAX_SAFE_INTEGER) > 0 || some
    if (this.isIdle && this.inFlight === 0 && !this.chain.timed.some(one => one.pending))
      for (const crossing of this.chain.crossings) crossing.rest()
    return some
  }

  get inFlight(): number {
    return this.chain.asyncSteps.reduce((sum, step) => sum + step.size, 0)
  }

  /** Everything anew, from what it wrote of itself. */
  restore(): void {
    const out = new ByteWriter(256)
    this.state.snapshot(out)
    const changes = new ChangeSet()
    changes.add(out.written().slice())
    this.build()
    this.state.putBack(blockOf(changes.merging().rest()))
  }

  /** Tells the steps again where event time stands. */
  abstract resume(): void
}

/** A partition of a topic that the pipeline reads. */
export class SourcePartition extends Partition {
  protected readonly heads
  private readonly source: SourceNode
  private own!: SourceClock
  private mark: ((record: object, timestamp: number) => number | undefined) | undefined
  private readonly idle: IdleWatch | undefined
  private current = NO_WATERMARK
  readonly records: object[] = []

  constructor(parts: ChainParts, source: SourceNode, partition: number, outputs: Outputs) {
    super(parts, source.topic, partition, outputs)
    this.source = source
    this.heads = [{ id: source.id, shape: { kind: "object" }, keyed: undefined }] as const
    this.idle = source.idleTimeoutMs === undefined ? undefined : new IdleWatch(source.idleTimeoutMs, parts.clock)
    this.build()
  }

  protected clocks(): readonly Stateful[] {
    const { id, outOfOrdernessMs, watermarks } = this.source
    this.mark = watermarks?.() as typeof this.mark
    this.own = new SourceClock(id, this.mark === undefined ? outOfOrdernessMs : PUNCTUATED)
    return [this.own]
  }

  override proceed(): boolean {
    if (this.idle?.pending) this.idle.proceed()
    return super.proceed()
  }

  /** `now` is the Kafka timestamp of a source whose records have no time of their own. */
  next(record: object, now: number): void {
    const { context } = this.chain
    context.offset = this.records.push(record) - 1
    context.timestamp = now
    const timestamp = this.source.eventTime === undefined ? now : this.source.eventTime(record as never)
    const observed = this.mark === undefined ? timestamp : this.mark(record, timestamp)
    if (observed !== undefined) this.own.observe(observed)
    this.idle?.observe()
    this.chain.inputs[0]!.next(record, timestamp)
  }

  /** The record that a dead letter is about. */
  get currentRecord(): object {
    return this.records[this.chain.context.offset]!
  }

  /** What follows from the records. */
  get ownWatermark(): number {
    return this.own.watermark()
  }

  watermark(watermark: number): void {
    if (watermark <= this.current) return
    this.current = watermark
    this.chain.inputs[0]!.watermark(watermark)
  }

  resume(): void {
    if (this.current > NO_WATERMARK) this.chain.inputs[0]!.watermark(this.current)
  }

  protected get isIdle(): boolean {
    return this.idle?.isIdle === true
  }
}

/** What comes in by one of the exchanges that share the log. */
interface Side {
  readonly id: string
  readonly channels: number
  readonly key: Keyed
  clock: StageClock
  input: Input
  told: number
}

/** A partition of the log between two stages. */
export class ExchangePartition extends Partition {
  protected readonly heads
  private readonly sides: readonly Side[]

  constructor(
    parts: ChainParts,
    exchanges: readonly ExchangeNode[],
    upstream: (exchange: ExchangeNode) => number,
    partition: number,
    outputs: Outputs
  ) {
    super(parts, exchanges[0]!.log, partition, outputs)
    this.sides = exchanges.map(node => ({ id: node.id, channels: upstream(node), key: keyed() }) as Side)
    this.heads = this.sides.map(({ id, key }) => ({ id, shape: { kind: "object" }, keyed: key }) as const)
    this.build()
  }

  override build(): void {
    super.build()
    for (const [i, side] of this.sides.entries()) {
      side.input = this.chain.inputs[i]!
      side.told = NO_WATERMARK
    }
  }

  protected clocks(): readonly Stateful[] {
    const quiet = { watermark: () => {}, idle: () => {}, active: () => {} }
    for (const side of this.sides) side.clock = new StageClock(side.id, side.channels, quiet)
    return this.sides.map(({ clock }) => clock)
  }

  next(exchange: number, record: object, timestamp: number, key: Keyed | undefined): void {
    const { key: own, input } = this.sides[exchange]!
    if (key !== undefined)
      Object.assign(own, key, { bytes: key.bytes.slice(key.start, key.end), start: 0, end: key.end - key.start })
    input.next(record, timestamp)
  }

  watermark(exchange: number, from: number, watermark: number): void {
    this.sides[exchange]!.clock.advance(from, watermark)
    this.resume()
  }

  /** Nothing comes from a partition of the stage before for the time being. */
  rest(exchange: number, from: number): void {
    this.sides[exchange]!.clock.rest(from)
    this.resume()
  }

  protected get isIdle(): boolean {
    return this.sides.every(({ clock }) => clock.idle)
  }

  resume(): void {
    tellSides(this.sides)
  }
}
