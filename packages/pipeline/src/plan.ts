import type { Aggregate, StateSpec } from "@headrace/core"
import type { Effect, Layer, Schema } from "effect"

/** A step's function, as the plan carries it: the builder knows the types, the engine needs none. */
export type Fn<B> = (record: never) => B

/** What happens to source records that cannot be decoded. The default, `fail`, stops the job with the position. */
export type OnDecodeError = { readonly kind: "fail" } | { readonly kind: "deadLetter"; readonly topic: string }

interface Base {
  /** Stable: explicit or derived from names, never from position. State is found again by it. */
  readonly id: string
}
interface Step extends Base {
  readonly input: string
}

export interface SourceNode extends Base {
  readonly kind: "source"
  readonly topic: string
  readonly schema: Schema.Top
  /** Event time in ms. Without it the Kafka timestamp is taken. */
  readonly eventTime: Fn<number> | undefined
  readonly outOfOrdernessMs: number
  readonly onDecodeError: OnDecodeError
}
export interface FilterNode extends Step {
  readonly kind: "filter"
  readonly predicate: Fn<boolean>
}
export interface MapNode extends Step {
  readonly kind: "map"
  readonly map: Fn<object>
}
export interface FlatMapNode extends Step {
  readonly kind: "flatMap"
  readonly flatMap: Fn<Iterable<object>>
}
/** Adds fields to a record; the others stay as they are, undecoded. */
export interface ExtendNode extends Step {
  readonly kind: "extend"
  readonly fields: Readonly<Record<string, Fn<unknown>>>
}
/** An asynchronous step. Retry, time-out and caught errors are part of `run`: what fails now is a defect. */
export interface MapEffectNode extends Step {
  readonly kind: "mapEffect"
  readonly run: Fn<Effect.Effect<object | DeadLettered, never, unknown>>
  readonly concurrency: number
  /** The topics that `run` may name in a DeadLettered, sorted. */
  readonly deadLetters: readonly string[]
}
export interface KeyByNode extends Step {
  readonly kind: "keyBy"
  readonly key: Fn<string | number | bigint>
  /** Set where `key` does nothing but read this field: then the field's bytes are the key and no string is made. */
  readonly field: string | undefined
}
/** Emits `{ key, windowStart, windowEnd, ...aggregates }` at the window's max timestamp. Its input is keyed. */
export interface WindowNode extends Step {
  readonly kind: "window"
  readonly sizeMs: number
  readonly offsetMs: number
  readonly allowedLatenessMs: number
  readonly aggregates: Readonly<Record<string, Aggregate>>
  /** The id of the KafkaSinkNode that late events go to; without it they are counted and dropped. */
  readonly late: string | undefined
}
/** User code over keyed state and timers. Its input is keyed, and so are the records that it emits. */
export interface ProcessNode extends Step {
  readonly kind: "process"
  readonly emits: Schema.Top
  /** By name. */
  readonly state: Readonly<Record<string, StateSpec>>
  readonly onRecord: (record: never, context: never) => void
  readonly onTimer: ((time: number, context: never) => void) | undefined
  readonly onProcessingTimer: ((time: number, context: never) => void) | undefined
}
/** One that is the `late` of a window gets what that window, its `input`, calls late, and none of its results. */
export interface KafkaSinkNode extends Step {
  readonly kind: "kafkaSink"
  readonly topic: string
  readonly schema: Schema.Top
  /** The Kafka key, UTF-8. Without it: the stream's key if it is keyed, else the key of the source record. */
  readonly key: Fn<string> | undefined
}
/** Reads what a Kafka sink committed; runs apart from the lanes. */
export interface ClickHouseSinkNode extends Base {
  readonly kind: "clickhouseSink"
  readonly table: string
  readonly topic: string
  readonly schema: Schema.Top
}

export type Node =
  | SourceNode
  | FilterNode
  | MapNode
  | FlatMapNode
  | ExtendNode
  | MapEffectNode
  | KeyByNode
  | WindowNode
  | ProcessNode
  | KafkaSinkNode
  | ClickHouseSinkNode

/** A pipeline as data and functions: what lanes instantiate. Nodes stand in topological order. */
export interface Plan {
  readonly name: string
  readonly nodes: readonly Node[]
  /** Provides what the asynchronous steps need; built and closed for each lane. */
  readonly layer: Layer.Layer<never, unknown> | Layer.Layer<unknown, unknown>
}

/** What an asynchronous step yields instead of a record that was given up: the source record goes to `topic`. */
export class DeadLettered {
  readonly topic: string
  readonly error: unknown
  constructor(topic: string, error: unknown) {
    this.topic = topic
    this.error = error
  }
}
