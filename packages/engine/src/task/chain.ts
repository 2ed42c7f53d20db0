import {
  filter,
  flatMap,
  type Input,
  type Keyed,
  keyBy,
  keyByField,
  keyed,
  type LateEvents,
  map,
  PatternMatch,
  type RecordDecoder,
  type RecordEncoder,
  type Stateful,
  Union
} from "@headrace/core"
import type { Context } from "effect"
import { type ExchangeNode, inputsOf, type KafkaSinkNode, lateSinksOf, type Node, type Plan } from "headrace"
import type { LaneMetrics } from "../metrics.ts"
import { of } from "../names.ts"
import type { TopicPartition } from "../ports/log.ts"
import { AsyncStep } from "./async-step.ts"
import type { PartitionCount } from "./channels.ts"
import { RecordContext } from "./context.ts"
import type { Crossing } from "./crossing.ts"
import { deadLetter } from "./dead-letter.ts"
import { FoldedCrossing } from "./folded-crossing.ts"
import { build, type StatefulNode, type Timed } from "./operators.ts"
import type { Outputs } from "./outputs.ts"
import { Deferred, ExtendObject, ExtendView, FanOut, Materialise } from "./shapes.ts"
import { computedKey, KafkaSink, sourceKey, streamKey, type WriteKey } from "./sink.ts"

/**
 * The wall clock as the operators of a lane see it, in ms: the lane sets it at the beginning of each of its steps, so that
 * it stands still during one, and so that a simulation has it in its hands.
 */
export interface WallClock {
  now: number
}

/** What all partitions of a lane share: compiled once. */
export interface ChainParts {
  readonly plan: Plan
  /** By the id of the sink's node. */
  readonly encoders: ReadonlyMap<string, RecordEncoder>
  readonly services: Context.Context<unknown>
  /** The lane's wall clock, see `WallClock`. */
  readonly clock: WallClock
  /** The output topic's id. */
  readonly topicId: (name: string) => number
  /** An asynchronous step finished something. */
  readonly onFinished: () => void
  /** How many partitions a topic has, or a log between two stages. */
  readonly partitions: PartitionCount
  /** What a partition's records flow into that cross to the partitions of their key. */
  readonly exchange: (node: ExchangeNode, from: Leaving) => Crossing
  readonly metrics: Pick<LaneMetrics, "add">
}

/** What leaves a chain for the next stage: where, how its records look, and what they are keyed by. */
export interface Leaving {
  readonly partition: TopicPartition
  readonly shape: Shape
  /** Undefined: they go to all partitions. */
  readonly key: Keyed | undefined
  readonly outputs: () => Outputs
}

/** Where records enter the plan: the node that they come out of, and how they look there. */
export interface Head {
  readonly id: string
  readonly shape: Shape
  /** Behind an exchange: the key of the record. */
  readonly keyed: Keyed | undefined
}

/**
 * How a record looks at a place in the chain: the decoder's view, the view with added fields, or a plain object.
 * Steps that may keep a record are given plain objects; sinks behind a view copy bytes instead of making strings.
 */
export type Shape =
  | { readonly kind: "view"; readonly decoder: RecordDecoder; readonly names: readonly string[] }
  | { readonly kind: "object" }

/** A place in the chain while it is built: what flows there. */
interface Place {
  readonly shape: Shape
  /** The key of a keyed stream. */
  readonly keyed: Keyed | undefined
  /** Behind an operator with state. */
  readonly stateful: boolean
}

/** A side of an operator that was reached: what flows there, and where the operator will be. */
interface Reached {
  readonly place: Place
  readonly input: Deferred
}

/** The operators of one partition, from where its records enter the plan to where they leave it. */
export interface Chain {
  /** In the order of the heads. */
  readonly inputs: readonly Input[]
  readonly context: RecordContext
  readonly stateful: readonly Stateful[]
  /** What came too late, in all operators. */
  readonly lates: readonly LateEvents[]
  readonly patterns: readonly PatternMatch[]
  /** Operators that emit by event time, in slices. */
  readonly timed: readonly Timed[]
  readonly asyncSteps: readonly AsyncStep[]
  /** Where records go on to the next stage. */
  readonly crossings: readonly Crossing[]
  /** Those of them that lead back to the log that they come from, by the exchange. */
  readonly rounds: ReadonlyMap<string, Crossing>
  /** Whether a commit may cover the records before the oldest one under way: nothing has run ahead of it. */
  readonly prefixSafe: boolean
  readonly deadLetter: (topic: string, error: unknown) => void
}

/**
 * Builds the chain of one partition. `clock` is the source's largest event time so far; `diverts`: records that cannot be
 * read go elsewhere, which a second reading would repeat.
 */
export const buildChain = (
  parts: ChainParts,
  heads: readonly Head[],
  partition: TopicPartition,
  outputs: () => Outputs,
  clock: () => number,
  diverts = false
): Chain => new ChainBuilder(parts, partition, outputs, clock, diverts).build(heads)

class ChainBuilder {
  private readonly parts: ChainParts
  private readonly partition: TopicPartition
  private readonly outputs: () => Outputs
  private readonly clock: () => number
  private readonly context = new RecordContext()
  private readonly stateful: Stateful[] = []
  private readonly lates: LateEvents[] = []
  private readonly timed: Timed[] = []
  private readonly asyncSteps: AsyncStep[] = []
  private readonly crossings: Crossing[] = []
  private readonly rounds = new Map<string, Crossing>()
  private readonly reached = new Map<string, (Reached | undefined)[]>()
  private readonly unions = new Map<string, Union>()
  private readonly heads = new Set<string>()
  /** The steps that records of this log come to. */
  private readonly fed = new Set<string>()
  /** Something happens before, or beside, an asynchronous step that a second reading would repeat. */
  private effectOutsideStep: boolean

  constructor(
    parts: ChainParts,
    partition: TopicPartition,
    outputs: () => Outputs,
    clock: () => number,
    diverts: boolean
  ) {
    this.parts = parts
    this.effectOutsideStep = diverts
    this.partition = partition
    this.outputs = outputs
    this.clock = clock
  }

  build(heads: readonly Head[]): Chain {
    for (const { id } of heads) {
      this.fed.add(id)
      this.heads.add(id)
    }
    // An exchange is fed from here and gives nothing out here, unless it is a head.
    for (const node of this.parts.plan.nodes)
      if (node.kind !== "exchange" && inputsOf(node).some(input => this.fed.has(input))) this.fed.add(node.id)
    const inputs = heads.map(({ id, shape, keyed }) => this.behind(id, { shape, keyed, stateful: false }, false))
    this.checkReached()
    return {
      inputs,
      context: this.context,
      stateful: this.stateful,
      lates: this.lates,
      patterns: this.stateful.filter(one => one instanceof PatternMatch),
      timed: this.timed,
      asyncSteps: this.asyncSteps,
      crossings: this.crossings,
      rounds: this.rounds,
      prefixSafe: !this.effectOutsideStep,
      deadLetter: (topic, error) => this.deadLetter(topic, error)
    }
  }

  /** The plan brings the sides of a join together in one log. */
  private checkReached(): void {
    for (const [id, sides] of this.reached)
      if (sides.includes(undefined)) throw new Error(`Only one side of ${id} comes from ${this.partition.topic}`)
  }

  /** Everything that reads from node `id`, as one input. `after`: behind an asynchronous step. */
  private behind(id: string, place: Place, after: boolean): Input {
    const readers = this.parts.plan.nodes.flatMap(node =>
      this.isLateSink(node) || node.kind === "side" ? [] : inputsOf(node).flatMap(input => (input === id ? [node] : []))
    )
    const steps = this.asyncSteps.length
    const inputs = readers.map(node => this.operator(node, id, place, after))
    if (inputs.length === 1) return inputs[0]!
    // One branch may be done with a record that another one holds: there is no finished prefix.
    if (this.asyncSteps.length > steps) this.effectOutsideStep = true
    return new FanOut(inputs)
  }

  /** Behind a flatMap: of one record, some results may have left an asynchronous step and others not. */
  private expanded(id: string, place: Place, after: boolean): Input {
    const steps = this.asyncSteps.length
    const input = this.behind(id, object(place), after)
    if (this.asyncSteps.length > steps) this.effectOutsideStep = true
    return input
  }

  private isLateSink(node: Node): boolean {
    return this.parts.plan.nodes.some(one => lateSinksOf(one).includes(node.id))
  }

  private operator(node: Node, id: string, place: Place, after: boolean): Input {
    switch (node.kind) {
      case "filter":
        return filter(node.predicate, this.behind(node.id, place, after))
      case "map":
        return this.plain(place, map(node.map, this.behind(node.id, object(place), after)))
      case "flatMap":
        return this.plain(place, flatMap(node.flatMap, this.expanded(node.id, place, after)))
      case "extend":
        return this.extend(node, place, after)
      case "mapEffect":
        return this.plain(place, this.asyncStep(node, place))
      case "keyBy":
        return this.keyBy(node, place, after)
      case "as":
        return this.behind(node.id, place, after)
      case "union":
        return this.union(node, id, place, after)
      case "kafkaSink":
        return this.sink(node, place, after)
      case "exchange":
        return this.exchange(node, place, after)
      case "side":
      case "source":
      case "clickhouseSink":
        throw new Error(`A ${node.kind} cannot read from another step`)
      default:
        return this.operate(node, id, place, after)
    }
  }

  /** In front of a step that may keep its records: makes a plain object of a view. */
  private plain(place: Place, downstream: Input): Input {
    return place.shape.kind === "object"
      ? downstream
      : new Materialise(place.shape.decoder, place.shape.names, downstream)
  }

  private extend(node: Extract<Node, { kind: "extend" }>, place: Place, after: boolean): Input {
    const names = Object.keys(node.fields)
    const functions = Object.values(node.fields) as ((record: object) => unknown)[]
    if (place.shape.kind === "object") return new ExtendObject(names, functions, this.behind(node.id, place, after))
    const { decoder, names: earlier } = place.shape
    const all = [...earlier, ...names]
    const downstream = this.behind(node.id, { ...place, shape: { kind: "view", decoder, names: all } }, after)
    return new ExtendView(decoder.extended(all), earlier, names, functions, downstream)
  }

  private asyncStep(node: Extract<Node, { kind: "mapEffect" }>, place: Place): Input {
    const { keyed: key } = place
    if (place.stateful) this.effectOutsideStep = true
    const step = new AsyncStep({
      name: node.id,
      partition: this.partition,
      run: node.run,
      concurrency: node.concurrency,
      services: this.parts.services,
      context: this.context,
      saveKey: () =>
        key === undefined
          ? undefined
          : { ...key, bytes: key.bytes.slice(key.start, key.end), start: 0, end: key.end - key.start },
      restoreKey: saved => {
        if (key !== undefined) Object.assign(key, saved)
      },
      clock: this.clock,
      deadLetter: (topic, error) => this.deadLetter(topic, error),
      onFinished: this.parts.onFinished,
      downstream: this.behind(node.id, object(place), true)
    })
    this.asyncSteps.push(step)
    return step
  }

  private keyBy(node: Extract<Node, { kind: "keyBy" }>, place: Place, after: boolean): Input {
    const key = keyed()
    const downstream = this.behind(node.id, { ...place, keyed: key }, after)
    const { shape } = place
    const ownField = node.field !== undefined && shape.kind === "view" && !shape.names.includes(node.field)
    const span = ownField ? shape.decoder.span(node.field) : undefined
    return span === undefined ? keyBy(node.key, key, downstream) : keyByField(span, this.context, key, downstream)
  }

  /** An operator with state, on its way in from `id`. A join is built when both of its sides have been reached. */
  private operate(node: StatefulNode, id: string, place: Place, after: boolean): Input {
    const isBroadcast = (node.kind === "broadcast" || node.kind === "dynamicPattern") && node.left !== id
    if (place.keyed === undefined && !isBroadcast) throw new Error(`${node.id} has no keyed stream before it`)
    if (!after) this.effectOutsideStep = true
    const reached = this.reached.get(node.id) ?? inputsOf(node).map(() => undefined)
    this.reached.set(node.id, reached)
    const side = inputsOf(node).findIndex((input, i) => input === id && reached[i] === undefined)
    const input = new Deferred()
    reached[side] = { place, input }
    const sides = reached.filter(one => one !== undefined)
    if (sides.length === reached.length) this.install(node, sides, after)
    return this.keepsRecords(node) ? this.plain(place, input) : input
  }

  private install(node: StatefulNode, sides: readonly Reached[], after: boolean): void {
    // Results need the operator's key, and the operator needs what reads its results: the key is there first.
    const behind = new Deferred()
    const [left, right] = [sides[0]!.place, sides.at(-1)!.place]
    const read = of(this.parts.plan, "side").filter(side => side.input === node.id)
    const asides = new Map(read.map(({ name }) => [name, new Deferred()]))
    const { operator, inputs, late } = build(node, {
      key: left.keyed!,
      right: right.keyed ?? left.keyed!,
      output: behind,
      late: sink => this.late(node, sink, left, right, after),
      sides: asides,
      place: { partition: this.partition.partition, partitions: this.parts.partitions(this.partition.topic) },
      clock: this.parts.clock
    })
    behind.input = this.behind(node.id, results(operator.outputKey), after)
    for (const { id, name } of read) asides.get(name)!.input = this.behind(id, results(operator.outputKey), after)
    for (const [i, side] of sides.entries()) side.input.input = inputs[i]!
    this.stateful.push(operator)
    this.timed.push(operator)
    this.lates.push(...late)
  }

  /** The sink of what is late on one side. */
  private late(node: StatefulNode, sink: string | undefined, left: Place, right: Place, after: boolean) {
    if (sink === undefined) return undefined
    const side = "rightLate" in node && node.rightLate === sink ? right : left
    return this.sink(this.sinkNode(sink), this.keepsRecords(node) ? object(side) : side, after)
  }

  /** Whether an operator keeps whole records: then it must not be given views. */
  private keepsRecords(node: StatefulNode): boolean {
    return node.kind !== "window" || node.element !== undefined
  }

  /**
   * One stream of several, from `id`. What reads it is built once, and gets plain objects. Of streams that come from other
   * logs nothing is waited for here.
   */
  private union(node: Extract<Node, { kind: "union" }>, id: string, place: Place, after: boolean): Input {
    const key = place.keyed && keyed()
    const known = this.unions.get(node.id)
    const inputs = node.inputs.filter(input => this.fed.has(input))
    const union = known ?? new Union(inputs.length, key, this.behind(node.id, { ...object(place), keyed: key }, after))
    this.unions.set(node.id, union)
    return this.plain(place, union.input(inputs.indexOf(id), place.keyed))
  }

  /** Where this log's part of the plan ends: the records go on from another log. */
  private exchange(node: Extract<Node, { kind: "exchange" }>, place: Place, after: boolean): Input {
    if (!after) this.effectOutsideStep = true
    const { shape, keyed: key } = place
    if (key === undefined && node.to === "key") throw new Error(`${node.id} has no keyed stream before it`)
    const leaves = node.parts === undefined ? shape : OBJECT
    const crossing = this.parts.exchange(node, { partition: this.partition, shape: leaves, key, outputs: this.outputs })
    const folded = node.parts === undefined ? crossing : new FoldedCrossing(crossing, node.parts)
    this.crossings.push(folded)
    if (this.heads.has(node.id)) this.rounds.set(node.id, folded)
    this.timed.push(folded)
    return folded
  }

  private sinkNode(id: string): KafkaSinkNode {
    const node = of(this.parts.plan, "kafkaSink").find(sink => sink.id === id)
    if (node === undefined) throw new Error(`The plan has no sink ${id}`)
    return node
  }

  private sink(node: KafkaSinkNode, place: Place, after: boolean): Input {
    if (!after) this.effectOutsideStep = true
    const encoder = this.parts.encoders.get(node.id)
    if (encoder === undefined) throw new Error(`No encoder was made for ${node.id}`)
    return new KafkaSink({
      topic: this.parts.topicId(node.topic),
      encoder: place.shape.kind === "view" ? encoder.from(place.shape.decoder, place.shape.names) : encoder,
      writeKey: this.keyOf(node, place),
      outputs: this.outputs
    })
  }

  private keyOf(node: KafkaSinkNode, place: Place): WriteKey {
    if (node.key !== undefined) return computedKey(node.key)
    return place.keyed === undefined ? sourceKey(this.context) : streamKey(place.keyed)
  }

  private deadLetter(topic: string, error: unknown): void {
    this.parts.metrics.add("deadLettered", 1)
    deadLetter(this.outputs(), this.parts.topicId(topic), this.partition, this.context, error)
  }
}

/** Records that are objects of their own. */
export const OBJECT: Shape = { kind: "object" }

/** Behind an operator with state. */
const results = (key: Keyed): Place => ({ shape: { kind: "object" }, keyed: key, stateful: true })

const object = (place: Place): Place => ({ ...place, shape: { kind: "object" } })
