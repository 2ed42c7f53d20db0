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
  type Stateful,
  Union
} from "@headrace/core"
import type { Context } from "effect"
import { type ExchangeNode, inputsOf, lateSinksOf, type Node } from "headrace"
import type { TopicPartition } from "../ports/log.ts"
import { AsyncStep } from "./async-step.ts"
import { RecordContext } from "./context.ts"
import type { Crossing } from "./crossing.ts"
import type { Timed } from "./operators.ts"
import { type OutletParts, Outlets } from "./outlets.ts"
import type { Outputs } from "./outputs.ts"
import { object, type Place, plain, type Shape } from "./place.ts"
import { ExtendObject, ExtendView, FanOut } from "./shapes.ts"
import { type StatefulParts, StatefulSteps } from "./stateful.ts"

/**
 * The wall clock as the operators of a lane see it, in ms: the lane sets it at the beginning of each of its steps, so that
 * it stands still during one, and so that a simulation has it in its hands.
 */
export interface WallClock {
  now: number
}

/** What all partitions of a lane share: compiled once. */
export interface ChainParts extends OutletParts, StatefulParts {
  readonly services: Context.Context<unknown>
  /** The lane's wall clock, see `WallClock`. */
  readonly clock: WallClock
  /** An asynchronous step finished something. */
  readonly onFinished: () => void
}

/** Where records enter the plan: the node that they come out of, and how they look there. */
export interface Head {
  readonly id: string
  readonly shape: Shape
  /** Behind an exchange: the key of the record. */
  readonly keyed: Keyed | undefined
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
  private readonly clock: () => number
  private readonly context = new RecordContext()
  private readonly stateful: Stateful[] = []
  private readonly lates: LateEvents[] = []
  private readonly timed: Timed[] = []
  private readonly asyncSteps: AsyncStep[] = []
  private readonly crossings: Crossing[] = []
  private readonly rounds = new Map<string, Crossing>()
  private readonly outlets: Outlets
  private readonly operators: StatefulSteps
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
    this.clock = clock
    this.outlets = new Outlets(parts, partition, outputs, this.context)
    this.operators = new StatefulSteps(parts, {
      partition,
      outlets: this.outlets,
      behind: (id, place, after) => this.behind(id, place, after),
      built: ({ operator, late }) => {
        this.stateful.push(operator)
        this.timed.push(operator)
        this.lates.push(...late)
      }
    })
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
    this.operators.check()
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
      deadLetter: (topic, error) => this.outlets.deadLetter(topic, error)
    }
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
        return plain(place, map(node.map, this.behind(node.id, object(place), after)))
      case "flatMap":
        return plain(place, flatMap(node.flatMap, this.expanded(node.id, place, after)))
      case "extend":
        return this.extend(node, place, after)
      case "mapEffect":
        return plain(place, this.asyncStep(node, place))
      case "keyBy":
        return this.keyBy(node, place, after)
      case "as":
        return this.behind(node.id, place, after)
      case "union":
        return this.union(node, id, place, after)
      case "kafkaSink":
        this.happens(after)
        return this.outlets.sink(node, place)
      case "exchange":
        this.happens(after)
        return this.exchange(node, place)
      case "side":
      case "source":
      case "clickhouseSink":
        throw new Error(`A ${node.kind} cannot read from another step`)
      default:
        this.happens(after)
        return this.operators.input(node, id, place, after)
    }
  }

  /** Something that a second reading would repeat. `after`: behind an asynchronous step, which does not run ahead of it. */
  private happens(after: boolean): void {
    if (!after) this.effectOutsideStep = true
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
      deadLetter: (topic, error) => this.outlets.deadLetter(topic, error),
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
    return plain(place, union.input(inputs.indexOf(id), place.keyed))
  }

  /** Where the records go on from another log. */
  private exchange(node: ExchangeNode, place: Place): Input {
    const crossing = this.outlets.crossing(node, place)
    this.crossings.push(crossing)
    if (this.heads.has(node.id)) this.rounds.set(node.id, crossing)
    return crossing
  }
}
