import type { Input } from "@headrace/core"
import { inputsOf, type Plan } from "headrace"
import { of } from "../names.ts"
import type { TopicPartition } from "../ports/log.ts"
import type { PartitionCount } from "./channels.ts"
import { type Built, build, type StatefulNode } from "./operators.ts"
import type { Outlets } from "./outlets.ts"
import { object, type Place, plain, results } from "./place.ts"
import { Deferred } from "./shapes.ts"

/** What all partitions of a lane share of operators with state. */
export interface StatefulParts {
  readonly plan: Plan
  /** The lane's wall clock, in ms. */
  readonly clock: { readonly now: number }
  /** How many partitions a topic has, or a log between two stages. */
  readonly partitions: PartitionCount
}

/** The chain of one partition, as far as its operators need it. */
interface StatefulOptions {
  readonly partition: TopicPartition
  readonly outlets: Outlets
  /** Everything that reads from a node, as one input. `after`: behind an asynchronous step. */
  readonly behind: (id: string, place: Place, after: boolean) => Input
  /** Called once for each operator, when all that reads its results is built. */
  readonly built: (built: Built) => void
}

/** A side of an operator that was reached: what flows there, and where the operator will be. */
interface Reached {
  readonly place: Place
  readonly input: Deferred
}

/** Operators with state of a chain, by the sides that records reach them on. */
export class StatefulSteps {
  private readonly parts: StatefulParts
  private readonly options: StatefulOptions
  private readonly reached = new Map<string, (Reached | undefined)[]>()

  constructor(parts: StatefulParts, options: StatefulOptions) {
    this.parts = parts
    this.options = options
  }

  /** The way into an operator from `id`. A join is built when both of its sides have been reached. */
  input(node: StatefulNode, id: string, place: Place, after: boolean): Input {
    const isBroadcast = (node.kind === "broadcast" || node.kind === "dynamicPattern") && node.left !== id
    if (place.keyed === undefined && !isBroadcast) throw new Error(`${node.id} has no keyed stream before it`)
    const reached = this.reached.get(node.id) ?? inputsOf(node).map(() => undefined)
    this.reached.set(node.id, reached)
    const side = inputsOf(node).findIndex((input, i) => input === id && reached[i] === undefined)
    const input = new Deferred()
    reached[side] = { place, input }
    const sides = reached.filter(one => one !== undefined)
    if (sides.length === reached.length) this.install(node, sides, after)
    return keepsRecords(node) ? plain(place, input) : input
  }

  /** The plan brings the sides of a join together in one log. */
  check(): void {
    for (const [id, sides] of this.reached)
      if (sides.includes(undefined))
        throw new Error(`Only one side of ${id} comes from ${this.options.partition.topic}`)
  }

  private install(node: StatefulNode, sides: readonly Reached[], after: boolean): void {
    const { partition, behind, built } = this.options
    // Results need the operator's key, and the operator needs what reads its results: the key is there first.
    const output = new Deferred()
    const [left, right] = [sides[0]!.place, sides.at(-1)!.place]
    const read = of(this.parts.plan, "side").filter(side => side.input === node.id)
    const asides = new Map(read.map(({ name }) => [name, new Deferred()]))
    const one = build(node, {
      key: left.keyed!,
      right: right.keyed ?? left.keyed!,
      output,
      late: sink => this.late(node, sink, left, right),
      sides: asides,
      place: { partition: partition.partition, partitions: this.parts.partitions(partition.topic) },
      clock: this.parts.clock
    })
    const place = results(one.operator.outputKey)
    output.input = behind(node.id, place, after)
    for (const { id, name } of read) asides.get(name)!.input = behind(id, place, after)
    for (const [i, side] of sides.entries()) side.input.input = one.inputs[i]!
    built(one)
  }

  /** The sink of what is late on one side. */
  private late(node: StatefulNode, sink: string | undefined, left: Place, right: Place): Input | undefined {
    if (sink === undefined) return undefined
    const side = "rightLate" in node && node.rightLate === sink ? right : left
    return this.options.outlets.lateSink(sink, keepsRecords(node) ? object(side) : side)
  }
}

/** Whether an operator keeps whole records: then it must not be given views. */
const keepsRecords = (node: StatefulNode): boolean => node.kind !== "window" || node.element !== undefined
