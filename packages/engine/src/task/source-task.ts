import {
  type ByteWriter,
  compareBytes,
  DecodeError,
  END_OF_TIME,
  type FieldSpan,
  type Input,
  NO_WATERMARK,
  PUNCTUATED,
  SourceClock
} from "@headrace/core"
import type { SourceNode } from "headrace"
import type { PreparedDecoder } from "../ports/codecs.ts"
import { type Batch, LogError, type TopicPartition } from "../ports/log.ts"
import { buildChain } from "./chain.ts"
import { IdleWatch } from "./idle-watch.ts"
import type { Outputs } from "./outputs.ts"
import { type Built, PartitionTask, type TaskParts } from "./partition-task.ts"
import { OBJECT } from "./place.ts"

/** A source partition: decodes, takes event time, runs the chain and advances the watermark. */
export class SourceTask extends PartitionTask {
  readonly internal = false
  private readonly source: SourceNode
  private readonly eventTime: ((record: object) => number) | undefined
  /** The watermark that a record carries, where records do. */
  private mark: ((record: object, timestamp: number) => number | undefined) | undefined
  private readonly decoder: PreparedDecoder
  /** What records without a value stand for. Then all records of the topic are plain objects, as those are. */
  private readonly tombstone: SourceNode["tombstone"]
  private clock!: SourceClock
  private head!: Input
  private idle: IdleWatch | undefined
  private current = NO_WATERMARK
  private ended = false
  private readonly keySpan: FieldSpan | undefined
  /** A topic of the job's own that people write to: what has another key goes where what cannot be decoded goes. */
  private readonly diverts: string | undefined
  /** Of this run of records no key has been looked at. */
  private unchecked = false

  constructor(parts: TaskParts, source: SourceNode, partition: TopicPartition, outputs: () => Outputs) {
    super(parts, partition, outputs)
    this.source = source
    this.eventTime = source.eventTime as typeof this.eventTime
    const decoder = parts.decoders.get(source.id)
    if (decoder === undefined) throw new Error(`No decoder was made for ${source.topic}`)
    this.decoder = decoder
    this.tombstone = source.tombstone
    this.keySpan = source.key === undefined ? undefined : decoder.span(source.key)
    const { made, onDecodeError } = source
    if (made !== undefined && this.keySpan !== undefined && onDecodeError.kind === "deadLetter")
      this.diverts = onDecodeError.topic
    this.build()
  }

  override start(at: { readonly offset: number; readonly committed: number }): void {
    this.current = this.clock.watermark()
    super.start(at)
  }

  override process(batch: Batch, from: number, to: number): void {
    if (this.current === END_OF_TIME) throw this.drained()
    this.unchecked = this.keySpan !== undefined
    super.process(batch, from, to)
  }

  end(): boolean {
    if (this.ended) return false
    this.ended = true
    this.isTouched = true
    this.chain.context.clear(this.position)
    this.clock.observe(END_OF_TIME)
    this.advance()
    return true
  }

  protected get isIdle(): boolean {
    return this.idle?.isIdle === true
  }

  /** What comes from outside is left for whoever goes on. */
  protected exhausted(): boolean {
    return true
  }

  override committable(): number {
    const oldest = this.oldest()
    return oldest === undefined ? this.position : oldest.offset
  }

  override holdBack(isHeld: boolean): void {
    this.idle?.holdBack(isHeld)
  }

  /** The clock goes to what the committed records made it, not to what records still under way did. */
  override delta(out: ByteWriter): void {
    const { maxTimestamp } = this.clock
    this.clock.maxTimestamp = this.oldest()?.clock ?? maxTimestamp
    super.delta(out)
    this.clock.maxTimestamp = maxTimestamp
  }

  watermark(): number {
    return this.current
  }

  protected make(): Built {
    const { parts, source } = this
    this.mark = source.watermarks?.() as typeof this.mark
    this.clock = new SourceClock(source.id, this.mark === undefined ? source.outOfOrdernessMs : PUNCTUATED)
    const shape = this.tombstone === undefined ? ({ kind: "view", decoder: this.decoder, names: [] } as const) : OBJECT
    const head = { id: source.id, shape, keyed: undefined }
    const diverts = source.onDecodeError.kind === "deadLetter"
    const chain = buildChain(parts, [head], this, this.outputs, () => this.clock.maxTimestamp, diverts)
    this.head = chain.inputs[0]!
    const watched = source.idleTimeoutMs !== undefined && chain.crossings.length > 0
    this.idle = watched ? new IdleWatch(source.idleTimeoutMs, parts.clock, () => this.tellActive()) : undefined
    return { chain, clocks: [this.clock], timed: this.idle === undefined ? [] : [this.idle] }
  }

  /** What is thrown names the record: it is all that a person has to go by. */
  protected record(): void {
    const { context } = this.chain
    if (context.valueLength < 0 && this.tombstone !== undefined) return this.gone(this.tombstone)
    let view: object
    try {
      view = this.decoder.view(context.bytes, context.valueStart, Math.max(0, context.valueLength))
    } catch (error) {
      return this.undecodable(error)
    }
    if (this.unchecked || this.diverts !== undefined) {
      const wrong = this.wrongKey(this.keySpan!)
      if (wrong !== undefined && this.diverts !== undefined) return this.chain.deadLetter(this.diverts, wrong)
      if (wrong !== undefined) throw wrong
    }
    this.take(this.tombstone === undefined ? view : this.decoder.materialise())
  }

  private gone(tombstone: NonNullable<SourceNode["tombstone"]>): void {
    const { bytes, keyStart, keyLength, timestamp } = this.chain.context
    if (keyLength < 0) return this.undecodable(new DecodeError("Truncated", "it has neither a key nor a value"))
    const record = this.made(() => tombstone(text.decode(bytes.subarray(keyStart, keyStart + keyLength)), timestamp))
    if (record !== undefined) this.take(record)
  }

  /** By a function of the user's. */
  private made<A>(make: () => A): A {
    try {
      return make()
    } catch (cause) {
      throw this.failed(this.where(), cause)
    }
  }

  private take(record: object): void {
    try {
      const timestamp = this.eventTime === undefined ? this.chain.context.timestamp : this.eventTime(record)
      this.observe(record, timestamp)
      this.head.next(record, timestamp)
    } catch (cause) {
      throw this.failed(this.where(), cause)
    }
  }

  private observe(view: object, timestamp: number): void {
    const { mark } = this
    const time = mark === undefined ? timestamp : mark(view, timestamp)
    if (time !== undefined) this.clock.observe(time)
  }

  /** State stands in the partition of its key: where that is not the record's own, it would be in several. */
  private wrongKey(field: FieldSpan): LogError | undefined {
    this.unchecked = false
    const { bytes, keyStart, keyLength } = this.chain.context
    const key = keyLength < 0 ? undefined : bytes.subarray(keyStart, keyStart + keyLength)
    const value = bytes.subarray(field.start(), field.end())
    if (key !== undefined && compareBytes(key, value) === 0) return undefined
    return new LogError(
      "Stop",
      `${this.where()} has ${key === undefined ? "no key" : `the key ${shown(key)}`}, but ${this.source.key} is ${shown(value)}: ` +
        `the source ${this.source.id} says key: "${this.source.key}". Take that away, and records are sent to the partitions of the field`
    )
  }

  protected ran(): void {
    this.idle?.observe()
    this.advance()
  }

  protected tell(): void {
    if (this.current > NO_WATERMARK) this.head.watermark(this.current)
  }

  /** What crosses rests no more, and says where event time stands. Steps on the way have heard of that: they would not hand it on. */
  private tellActive(): void {
    for (const crossing of this.chain.crossings) crossing.watermark(NO_WATERMARK)
  }

  private advance(): void {
    const watermark = this.clock.watermark()
    if (watermark <= this.current) return
    this.current = watermark
    this.head.watermark(watermark)
  }

  private oldest(): { readonly offset: number; readonly clock: number } | undefined {
    let oldest: { readonly offset: number; readonly clock: number } | undefined
    for (const step of this.chain.asyncSteps) {
      const one = step.oldest
      if (one !== undefined && (oldest === undefined || one.offset < oldest.offset)) oldest = one
    }
    return oldest
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
}

const text = new TextDecoder()

const shown = (bytes: Uint8Array): string => JSON.stringify(text.decode(bytes))
