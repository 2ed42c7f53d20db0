import {
  filter,
  flatMap,
  type Input,
  type Keyed,
  keyBy,
  keyByField,
  keyed,
  map,
  Process,
  type RecordDecoder,
  type RecordEncoder,
  type Stateful,
  TumblingWindow
} from "@headrace/core"
import type { Context } from "effect"
import type { KafkaSinkNode, Node, Plan, SourceNode } from "headrace"
import type { LaneMetrics } from "../metrics.ts"
import { of } from "../names.ts"
import type { PreparedDecoder } from "../ports/codecs.ts"
import type { TopicPartition } from "../ports/log.ts"
import { AsyncStep } from "./async-step.ts"
import { RecordContext } from "./context.ts"
import { deadLetter } from "./dead-letter.ts"
import type { StateMemory } from "./memory.ts"
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
  /** By source topic. */
  readonly decoders: ReadonlyMap<string, PreparedDecoder>
  /** By the id of the sink's node. */
  readonly encoders: ReadonlyMap<string, RecordEncoder>
  readonly services: Context.Context<unknown>
  /** The lane's wall clock, see `WallClock`. */
  readonly clock: WallClock
  /** The output topic's id. */
  readonly topicId: (name: string) => number
  /** An asynchronous step finished something. */
  readonly onFinished: () => void
  readonly metrics: LaneMetrics
  /** What bounds the state of all partitions. */
  readonly memory: StateMemory
}

/**
 * How a record looks at a place in the chain: the decoder's view, the view with added fields, or a plain object.
 * Steps that may keep a record are given plain objects; sinks behind a view copy bytes instead of making strings.
 */
type Shape =
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

/** Has results that wait for `proceed`: windows that are due, timers. */
interface Timed {
  readonly pending: boolean
  readonly proceed: (limit: number) => number
}

/** The operators of one partition, from its source's node on. */
export interface Chain {
  readonly head: Input
  readonly context: RecordContext
  readonly decoder: PreparedDecoder
  readonly stateful: readonly Stateful[]
  readonly windows: readonly TumblingWindow[]
  /** Operators that emit by event time, in slices. */
  readonly timed: readonly Timed[]
  readonly asyncSteps: readonly AsyncStep[]
  /** Whether a commit may cover the records before the oldest one under way: nothing has run ahead of it. */
  readonly prefixSafe: boolean
  readonly deadLetter: (topic: string, error: unknown) => void
}

/** Builds the chain of one partition. `clock` is the source's largest event time so far. */
export const buildChain = (
  parts: ChainParts,
  source: SourceNode,
  partition: TopicPartition,
  outputs: () => Outputs,
  clock: () => number
): Chain => new ChainBuilder(parts, source, partition, outputs, clock).build()

class ChainBuilder {
  private readonly parts: ChainParts
  private readonly source: SourceNode
  private readonly partition: TopicPartition
  private readonly outputs: () => Outputs
  private readonly clock: () => number
  private readonly context = new RecordContext()
  private readonly stateful: Stateful[] = []
  private readonly windows: TumblingWindow[] = []
  private readonly timed: Timed[] = []
  private readonly asyncSteps: AsyncStep[] = []
  /** Something happens before, or beside, an asynchronous step that a second reading would repeat. */
  private effectOutsideStep = false

  constructor(
    parts: ChainParts,
    source: SourceNode,
    partition: TopicPartition,
    outputs: () => Outputs,
    clock: () => number
  ) {
    this.parts = parts
    this.source = source
    this.partition = partition
    this.outputs = outputs
    this.clock = clock
  }

  build(): Chain {
    const decoder = this.parts.decoders.get(this.source.topic)
    if (decoder === undefined) throw new Error(`No decoder was made for ${this.source.topic}`)
    this.effectOutsideStep = this.source.onDecodeError.kind === "deadLetter"
    const place: Place = { shape: { kind: "view", decoder, names: [] }, keyed: undefined, stateful: false }
    const head = this.behind(this.source.id, place, false)
    return {
      head,
      context: this.context,
      decoder,
      stateful: this.stateful,
      windows: this.windows,
      timed: this.timed,
      asyncSteps: this.asyncSteps,
      prefixSafe: !this.effectOutsideStep,
      deadLetter: (topic, error) => this.deadLetter(topic, error)
    }
  }

  /** Everything that reads from node `id`, as one input. `after`: behind an asynchronous step. */
  private behind(id: string, place: Place, after: boolean): Input {
    const readers = this.parts.plan.nodes.filter(node => "input" in node && node.input === id && !this.isLateSink(node))
    const steps = this.asyncSteps.length
    const inputs = readers.map(node => this.operator(node, place, after))
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
    return of(this.parts.plan, "window").some(window => window.late === node.id)
  }

  private operator(node: Node, place: Place, after: boolean): Input {
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
      case "window":
        return this.window(node, place, after)
      case "process":
        return this.plain(place, this.process(node, place, after))
      case "kafkaSink":
        return this.sink(node, place, after)
      default:
        throw new Error(`A ${node.kind} cannot read from another step`)
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

  private window(node: Extract<Node, { kind: "window" }>, place: Place, after: boolean): Input {
    if (!after) this.effectOutsideStep = true
    if (place.keyed === undefined) throw new Error(`The window ${node.id} has no keyed stream before it`)
    const late = node.late === undefined ? undefined : this.sink(this.sinkNode(node.late), place, after)
    // The window's results need its key, and the window needs what reads its results: the key is there first.
    const behind = new Deferred()
    const window = new TumblingWindow({ ...node, key: place.keyed, late, output: behind, atOnce: 0 })
    behind.input = this.behind(node.id, results(window.outputKey), after)
    this.stateful.push(window)
    this.windows.push(window)
    this.timed.push(window)
    return window
  }

  private process(node: Extract<Node, { kind: "process" }>, place: Place, after: boolean): Input {
    if (!after) this.effectOutsideStep = true
    if (place.keyed === undefined) throw new Error(`The step ${node.id} has no keyed stream before it`)
    const behind = new Deferred()
    const process = new Process({ ...node, key: place.keyed, output: behind, atOnce: 0, clock: this.parts.clock })
    behind.input = this.behind(node.id, results(process.outputKey), after)
    this.stateful.push(process)
    this.timed.push(process)
    return process
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

/** Behind an operator with state. */
const results = (key: Keyed): Place => ({ shape: { kind: "object" }, keyed: key, stateful: true })

const object = (place: Place): Place => ({ ...place, shape: { kind: "object" } })
