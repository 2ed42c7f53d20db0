import { type Input, type Keyed, keyed, NO_WATERMARK, StageClock } from "@headrace/core"
import type { ExchangeNode } from "headrace"
import type { PreparedDecoder } from "../ports/codecs.ts"
import type { TopicPartition } from "../ports/log.ts"
import { buildChain } from "./chain.ts"
import { Channels } from "./channels.ts"
import { ENVELOPE_BYTES, EnvelopeReader, HALT, RECORD, WATERMARK } from "./envelope.ts"
import type { Outputs } from "./outputs.ts"
import { type Built, PartitionTask, type TaskParts } from "./partition-task.ts"
import { type TimedSide, tellSides } from "./sides.ts"

/** What comes in by one of the exchanges that share the log: one side of a join, or all there is. */
interface Side extends TimedSide {
  readonly node: ExchangeNode
  readonly decoder: PreparedDecoder
  readonly channels: number
  readonly key: Keyed
  clock: StageClock
  input: Input
}

/**
 * A partition of the topic between two stages. Its records carry their event time; watermarks are records too, of each
 * partition of the stage before, and stand in one order with the others: so results depend on the log alone.
 */
export class ExchangeTask extends PartitionTask {
  readonly internal = true
  private readonly envelope = new EnvelopeReader()
  private readonly sides: readonly Side[]
  /** The halt for which this partition has told the others of its stage that it says nothing more. */
  private lastWord: number | undefined

  constructor(parts: TaskParts, exchanges: readonly ExchangeNode[], partition: TopicPartition, outputs: () => Outputs) {
    super(parts, partition, outputs)
    this.sides = exchanges.map(node => sideOf(parts, node))
    this.build()
  }

  /** Of the side that is behind. What goes to all partitions holds nothing up. */
  watermark(): number {
    const keyed = this.sides.filter(({ node }) => node.to === "key")
    return Math.min(...keyed.map(({ clock }) => clock.watermark))
  }

  /** Event time ends here when the stage before says so. */
  end(): boolean {
    return false
  }

  /**
   * What goes round in the stage are answers to what comes from before it: when that has come to rest, this partition has
   * said its last word, and rests when all have.
   */
  override halt(number: number): boolean {
    const before = this.sides.filter(({ node }) => !this.chain.rounds.has(node.id))
    if (this.lastWord !== number && this.chain.rounds.size > 0 && before.every(({ clock }) => clock.halted(number))) {
      this.lastWord = number
      this.isTouched = true
      for (const crossing of this.chain.rounds.values()) crossing.halt(number)
      return true
    }
    return super.halt(number)
  }

  /** Also after a restart: those before it do not say so again. */
  protected get isIdle(): boolean {
    return this.sides.every(({ clock }) => clock.idle)
  }

  protected exhausted(halt: number): boolean {
    return this.sides.every(({ clock }) => clock.halted(halt))
  }

  protected make(): Built {
    const heads = this.sides.map(({ node, decoder, key }) => {
      const shape = node.schema === undefined ? OBJECT : ({ kind: "view", decoder, names: [] } as const)
      return { id: node.id, shape, keyed: key }
    })
    // Behind an exchange comes a step with state: no commit goes by the prefix that is done.
    const chain = buildChain(this.parts, heads, this, this.outputs, () => NO_WATERMARK)
    for (const [i, side] of this.sides.entries()) {
      side.clock = new StageClock(side.node.id, side.channels, {
        watermark: () => {},
        idle: () => {},
        active: () => {}
      })
      side.input = chain.inputs[i]!
      side.told = NO_WATERMARK
    }
    return { chain, clocks: this.sides.map(({ clock }) => clock), timed: [] }
  }

  protected record(): void {
    const { envelope } = this
    const { bytes, valueStart, valueLength } = this.chain.context
    try {
      envelope.stand(bytes, valueStart, valueLength)
      const side = this.sides[envelope.exchange]
      if (side === undefined)
        throw new Error(`it is of exchange ${envelope.exchange}, and there are ${this.sides.length}`)
      if (envelope.kind === RECORD) this.value(side)
      else if (envelope.kind === WATERMARK) this.advance(side)
      else if (envelope.kind === HALT) side.clock.halt(envelope.channel, envelope.halt)
      else this.rest(side)
    } catch (cause) {
      throw this.failed(this.where(), cause)
    }
  }

  protected ran(): void {}

  protected tell(): void {
    tellSides(this.sides)
  }

  private value({ decoder, key, input }: Side): void {
    const { context } = this.chain
    // A dead letter carries the record as it was before it crossed.
    context.valueStart += ENVELOPE_BYTES
    context.valueLength -= ENVELOPE_BYTES
    key.kind = this.envelope.keyKind
    key.bytes = context.bytes
    key.start = context.keyStart
    // What is for all partitions has no key.
    key.end = context.keyStart + Math.max(0, context.keyLength)
    input.next(decoder.view(context.bytes, context.valueStart, context.valueLength), this.envelope.time)
  }

  private advance({ clock }: Side): void {
    clock.advance(this.envelope.channel, this.envelope.watermark)
    this.tell()
  }

  private rest({ clock }: Side): void {
    clock.rest(this.envelope.channel)
    this.tell()
  }
}

/** Records whose schema nobody said are objects. */
const OBJECT = { kind: "object" } as const

const sideOf = (parts: TaskParts, node: ExchangeNode): Side => {
  const decoder = parts.decoders.get(node.id)
  if (decoder === undefined) throw new Error(`No decoder was made for ${node.id}`)
  const channels = new Channels(parts.plan, parts.app, node, parts.partitions).size
  return { node, decoder, channels, key: keyed() } as Side
}
