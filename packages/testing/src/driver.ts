import { END_OF_TIME, type Keyed, partitionOf } from "@headrace/core"
import { type ChainParts, type Crossing, of, sinkTopics, type TopicPartition } from "@headrace/engine"
import { Duration, Effect, Exit, Layer, Scope } from "effect"
import { type ExchangeNode, inputsOf, type Pipeline, type Plan, type Sink, type Source, toPlan } from "headrace"
import { Capture, capturing, type Output } from "./capture.ts"
import { Direct } from "./direct.ts"
import { ExchangePartition, SourcePartition } from "./stage.ts"

export type { Output } from "./capture.ts"

/** How many partitions a test has, what moves event time, and what the clock shows. */
export interface DriverOptions {
  /** Of every source topic, and of every exchange between stages. Default: 1. */
  readonly partitions?: number
  /**
   * `source`: event time follows from the records, as in production, and may be set beyond that. `manual`: it moves only
   * when it is set. Default: `source`.
   */
  readonly watermarks?: "source" | "manual"
  /** What the wall clock shows at the beginning, in ms. Default: 0. */
  readonly now?: number
}

/** A topic by its name, or the source that reads it. */
type AnySource = string | { readonly spec: { readonly topic: string } }

/** Which partition records are pushed to. */
export interface Place {
  /** Default: that of the record's key where the source says which field that is, else 0. */
  readonly partition?: number
}

/**
 * Runs a pipeline in memory on virtual time, a step at a time: the same plan, operators and state as in production, with
 * nothing between them and the test. Everything that follows from a call has happened when it returns, except
 * asynchronous steps: wait for those with `settled`.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Agg, Pipeline, Sink, Source, Window } from "headrace"
 * import { TestDriver } from "headrace-test"
 *
 * const Payment = Schema.Struct({ account: Schema.String, cents: Schema.Number, at: Schema.Number })
 * const Spend = Schema.Struct({ key: Schema.String, windowEnd: Schema.Number, spent: Schema.Number })
 * const pipeline = Pipeline.make("spend")
 *   .from(Source.kafka("payments", Payment, { key: "account", eventTime: p => p.at }))
 *   .keyBy(p => p.account)
 *   .window(Window.tumbling("10 seconds"), { spent: Agg.sum(p => p.cents) })
 *   .to(Sink.kafka("spend", Spend))
 *
 * const driver = new TestDriver(pipeline)
 * driver.push("payments", { account: "a", cents: 300, at: 1_000 }, { account: "a", cents: 200, at: 9_999 })
 * driver.values("spend") // => []
 * driver.push("payments", { account: "b", cents: 1, at: 10_001 })
 * driver.values("spend") // => [{ key: "a", windowEnd: 10000, spent: 500 }]
 * ```
 */
export class TestDriver {
  /** What runs, and what ids its steps have. */
  readonly plan: Plan
  private readonly written: Output[] = []
  private readonly sources = new Map<string, readonly SourcePartition[]>()
  private readonly exchanges = new Map<string, readonly ExchangePartition[]>()
  private readonly partitions: number
  private readonly manual: boolean
  private readonly clock: { now: number }
  private readonly scope = Effect.runSync(Scope.make())
  private wake: (() => void) | undefined

  /** Throws what building the plan throws, and where the pipeline's layer cannot be built synchronously. */
  constructor(pipeline: Pipeline.Pipeline<never>, options: DriverOptions = {}) {
    this.plan = toPlan(pipeline)
    this.partitions = options.partitions ?? 1
    this.manual = options.watermarks === "manual"
    this.clock = { now: options.now ?? 0 }
    for (const log of new Set(of(this.plan, "exchange").map(node => node.log))) this.openExchange(log)
    for (const source of of(this.plan, "source")) {
      const partitions = Array.from({ length: this.partitions }, (_, partition): SourcePartition => {
        const capture = this.capture(() => made.currentRecord)
        const made: SourcePartition = new SourcePartition(this.parts(capture), source, partition, capture)
        return made
      })
      this.sources.set(source.topic, partitions)
    }
  }

  /** Sends records to a topic, one after the other. */
  push<A extends object>(topic: string | Source.Source<A>, ...records: readonly A[]): void {
    for (const record of records) this.pushTo(topic, record)
  }

  /** Sends a record without a value: the row of the key is gone, as the source's `tombstone` says it. */
  tombstone(topic: AnySource, key: string): void {
    const name = typeof topic === "string" ? topic : topic.spec.topic
    const source = of(this.plan, "source").find(one => one.topic === name)
    if (source?.tombstone === undefined)
      throw new Error(`The source of "${name}" takes no tombstones: say what they stand for`)
    const record = source.tombstone(key, this.clock.now)
    if (record !== undefined) this.pushTo(topic as string, record, { partition: this.partitionOf(key) })
  }

  /** Sends one record to a partition of a topic. */
  pushTo<A extends object>(topic: string | Source.Source<A>, record: A, place: Place = {}): void {
    const partitions = this.sourceOf(topic)
    const at = place.partition ?? this.partitionFor(topic, record)
    const partition = partitions[at]
    if (partition === undefined) throw new RangeError(`There is no partition ${at}: there are ${partitions.length}`)
    partition.next(record, this.clock.now)
    this.settle()
    if (this.manual) return
    partition.watermark(partition.ownWatermark)
    this.settle()
  }

  /**
   * Sets event time, in ms: nothing at or before it is expected any more, in all partitions of all sources or of one.
   * "end": all input has come. It never goes back.
   */
  watermark(watermark: number | "end", topic?: AnySource): void {
    const time = watermark === "end" ? END_OF_TIME : watermark
    const topics = topic === undefined ? [...this.sources.values()] : [this.sourceOf(topic)]
    for (const partition of topics.flat()) partition.watermark(time)
    this.settle()
  }

  /** Lets the wall clock go on: timers in processing time fire, and partitions without records are idle behind their time-out. */
  advance(by: Duration.Input): void {
    this.settle()
    this.clock.now += Duration.toMillis(Duration.fromInputUnsafe(by))
    this.settle()
  }

  /** What has been written to a topic, or to all, since it was read last. */
  read<A extends object = object>(topic?: string | Sink.KafkaSink<A>): readonly Output<A>[] {
    const name = typeof topic === "object" ? topic.topic : topic
    const taken = this.written.filter(output => name === undefined || output.topic === name)
    const left = this.written.filter(output => !taken.includes(output))
    this.written.splice(0, this.written.length, ...left)
    return taken as unknown as readonly Output<A>[]
  }

  /** The records of `read`, without what is around them. */
  values<A extends object = object>(topic?: string | Sink.KafkaSink<A>): readonly A[] {
    return this.read(topic).map(({ value }) => value)
  }

  /** Waits until all asynchronous steps are done. */
  async settled(): Promise<void> {
    this.settle()
    while (this.all().some(partition => partition.inFlight > 0)) {
      await new Promise<void>(resolve => {
        this.wake = resolve
      })
      this.settle()
    }
  }

  /** As after a crash: all state is written, thrown away and read again. Nothing is to be in flight. */
  restore(): void {
    for (const partition of this.all()) partition.restore()
    for (const partition of this.all()) partition.resume()
    this.settle()
  }

  /** Closes what the pipeline's layer opened. */
  async close(): Promise<void> {
    await Effect.runPromise(Scope.close(this.scope, Exit.void))
  }

  private all(): readonly (SourcePartition | ExchangePartition)[] {
    return [...[...this.sources.values()].flat(), ...[...this.exchanges.values()].flat()]
  }

  /** Until nothing is due any more: what one stage emits may make something due in the next. */
  private settle(): void {
    for (let some = true; some; ) {
      some = false
      for (const partition of this.all()) some = partition.proceed() || some
    }
  }

  private sourceOf(topic: AnySource): readonly SourcePartition[] {
    const name = typeof topic === "string" ? topic : topic.spec.topic
    const partitions = this.sources.get(name)
    if (partitions === undefined)
      throw new Error(`The pipeline has no source "${name}": it reads ${[...this.sources.keys()].join(", ")}`)
    return partitions
  }

  private partitionFor(topic: AnySource, record: object): number {
    const name = typeof topic === "string" ? topic : topic.spec.topic
    const field = of(this.plan, "source").find(source => source.topic === name)?.key
    if (field === undefined) return 0
    return this.partitionOf(String((record as Readonly<Record<string, unknown>>)[field]))
  }

  /** Where a record with this Kafka key goes. */
  private partitionOf(key: string): number {
    return partitionOf(new TextEncoder().encode(key), this.partitions)
  }

  private openExchange(log: string): void {
    const nodes = of(this.plan, "exchange").filter(node => node.log === log)
    const partitions = Array.from({ length: this.partitions }, (_, partition) => {
      const capture = this.capture(() => ({}))
      const upstream = (node: ExchangeNode) => this.logsBefore(node).length * this.partitions
      return new ExchangePartition(this.parts(capture), nodes, upstream, partition, capture)
    })
    this.exchanges.set(log, partitions)
  }

  private capture(sourceRecord: () => object): Capture {
    const topics = sinkTopics(this.plan)
    return new Capture(
      id => topics[id]!,
      sourceRecord,
      output => this.written.push(output)
    )
  }

  private parts(capture: Capture): ChainParts {
    const topics = sinkTopics(this.plan)
    return {
      plan: this.plan,
      encoders: new Map(of(this.plan, "kafkaSink").map(({ id, schema }) => [id, capturing(schema, () => capture)])),
      services: this.services as never,
      clock: this.clock,
      topicId: name => topics.indexOf(name),
      onFinished: () => this.wake?.(),
      partitions: () => this.partitions,
      exchange: (node, { partition, key }) => this.send(node, this.channelOf(node, partition), key),
      metrics: { add: () => {} }
    }
  }

  /** Built once, for all partitions. */
  private get services(): unknown {
    this.builtServices ??= Effect.runSync(Layer.buildWithScope(this.plan.layer as Layer.Layer<unknown>, this.scope))
    return this.builtServices
  }
  private builtServices: unknown

  /** The logs, topics or other exchanges, whose records flow into an exchange. */
  private logsBefore(node: ExchangeNode): readonly string[] {
    const logsAt = (id: string): readonly string[] => {
      const at = this.plan.nodes.find(one => one.id === id)!
      if (at.kind === "source") return [at.topic]
      return at.kind === "exchange" ? [at.log] : inputsOf(at).flatMap(logsAt)
    }
    return [...new Set(logsAt(node.input))]
  }

  /** Of all partitions that flow into an exchange this one: each has an event time of its own there. */
  private channelOf(node: ExchangeNode, { topic, partition }: TopicPartition): number {
    return this.logsBefore(node).indexOf(topic) * this.partitions + partition
  }

  /** What flows into an exchange from a partition: records to the partition of their key, event time to all. */
  private send(node: ExchangeNode, from: number, key: Keyed | undefined): Crossing {
    const number = of(this.plan, "exchange")
      .filter(one => one.log === node.log)
      .indexOf(node)
    return new Direct({
      targets: () => this.exchanges.get(node.log)!,
      exchange: number,
      from,
      key: node.to === "all" ? undefined : key
    })
  }
}
