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
  WatermarkValve
} from "@headrace/core"
import { buildChain, type Chain, type ChainParts, type Outputs } from "@headrace/engine"
import type { ExchangeNode, SourceNode } from "headrace"

/** One partition of a log: what `Task` is to a lane, without a log to read. */
abstract class Partition {
  readonly topic: string
  readonly partition: number
  protected chain!: Chain
  private state!: PartitionState
  private readonly parts: ChainParts
  private readonly outputs: Outputs

  constructor(parts: ChainParts, topic: string, partition: number, outputs: Outputs) {
    this.parts = parts
    this.topic = topic
    this.partition = partition
    this.outputs = outputs
  }

  protected abstract readonly heads: Parameters<typeof buildChain>[1]
  /** The source's event time, which is state beside that of the operators. */
  protected abstract clock(): SourceClock | undefined

  build(): void {
    const clock = this.clock()
    this.chain = buildChain(
      this.parts,
      this.heads,
      this,
      () => this.outputs,
      () => clock?.maxTimestamp ?? NO_WATERMARK
    )
    this.state = new PartitionState([...(clock === undefined ? [] : [clock]), ...this.chain.stateful])
  }

  /** Works off what is due; whether there was anything. */
  proceed(): boolean {
    let some = false
    for (const step of this.chain.asyncSteps) step.release()
    for (const crossing of this.chain.crossings) crossing.settle()
    for (const one of this.chain.timed) if (one.pending) some = one.proceed(Number.MAX_SAFE_INTEGER) > 0 || some
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
  private current = NO_WATERMARK
  readonly records: object[] = []

  constructor(parts: ChainParts, source: SourceNode, partition: number, outputs: Outputs) {
    super(parts, source.topic, partition, outputs)
    this.source = source
    this.heads = [{ id: source.id, shape: { kind: "object" }, keyed: undefined }] as const
    this.build()
  }

  protected clock(): SourceClock {
    const { id, outOfOrdernessMs, watermark } = this.source
    this.own = new SourceClock(id, watermark === undefined ? outOfOrdernessMs : PUNCTUATED)
    return this.own
  }

  /** `now` is the Kafka timestamp of a source whose records have no time of their own. */
  next(record: object, now: number): void {
    const { context } = this.chain
    context.offset = this.records.push(record) - 1
    context.timestamp = now
    const timestamp = this.source.eventTime === undefined ? now : this.source.eventTime(record as never)
    const { watermark } = this.source
    const observed = watermark === undefined ? timestamp : watermark(record as never, timestamp)
    if (observed !== undefined) this.own.observe(observed)
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
}

/** A partition of the log between two stages. */
export class ExchangePartition extends Partition {
  protected readonly heads
  private readonly keys: readonly Keyed[]
  private readonly valves: readonly WatermarkValve[]

  constructor(
    parts: ChainParts,
    exchanges: readonly ExchangeNode[],
    upstream: (exchange: ExchangeNode) => number,
    partition: number,
    outputs: Outputs
  ) {
    super(parts, exchanges[0]!.log, partition, outputs)
    this.keys = exchanges.map(() => keyed())
    this.heads = exchanges.map(({ id }, i) => ({ id, shape: { kind: "object" }, keyed: this.keys[i]! }) as const)
    this.valves = exchanges.map(
      (exchange, i) =>
        new WatermarkValve(upstream(exchange), {
          watermark: watermark => this.input(i).watermark(watermark),
          idle: () => {},
          active: () => {}
        })
    )
    this.build()
  }

  protected clock(): undefined {
    return undefined
  }

  next(exchange: number, record: object, timestamp: number, key: Keyed | undefined): void {
    const own = this.keys[exchange]!
    if (key !== undefined)
      Object.assign(own, key, { bytes: key.bytes.slice(key.start, key.end), start: 0, end: key.end - key.start })
    this.input(exchange).next(record, timestamp)
  }

  watermark(exchange: number, from: number, watermark: number): void {
    this.valves[exchange]!.advance(from, watermark)
  }

  resume(): void {
    for (const [i, { watermark }] of this.valves.entries())
      if (watermark > NO_WATERMARK) this.input(i).watermark(watermark)
  }

  private input(exchange: number): Input {
    return this.chain.inputs[exchange]!
  }
}
