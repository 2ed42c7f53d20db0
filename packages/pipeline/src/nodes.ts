import type {
  Aggregate,
  Broadcast,
  Evictor,
  GridAssigner,
  JoinType,
  PatternChange,
  PatternOf,
  StateSpec,
  StoredCodec,
  Trigger,
  Unreadable,
  WindowAssigner
} from "@headrace/core"
import type { Effect, Schema } from "effect"

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

/** Partitions of the sources of a group wait for each other: none is read that is further ahead, in event time ms. */
export interface Alignment {
  readonly group: string
  readonly maxDriftMs: number
}

/** A topic to read. What is said of its records holds for each of its partitions by itself. */
export interface SourceNode extends Base {
  readonly kind: "source"
  readonly topic: string
  readonly schema: Schema.Top
  /** Event time in ms. Without it the Kafka timestamp is taken. */
  readonly eventTime: Fn<number> | undefined
  /** How much later than a newer record of its partition one may come and still be on time. */
  readonly outOfOrdernessMs: number
  /** A partition without records for as long, in processing time, is not waited for by the next stage. Undefined: it is. */
  readonly idleTimeoutMs: number | undefined
  /** The sources that wait for each other, and how far ahead of the others this one may be. Undefined: it waits for none. */
  readonly alignment: Alignment | undefined
  /**
   * Makes, for each partition, what says the watermark that a record carries, in place of bounded disorder; that gives undefined
   * where it carries none.
   */
  readonly watermarks: (() => (record: never, timestamp: number) => number | undefined) | undefined
  /** The field that holds the Kafka key: by it the topic is partitioned. Undefined: nobody said. */
  readonly key: string | undefined
  /** What a record without a value stands for; undefined: nothing. Without it such a record cannot be decoded. */
  readonly tombstone: ((key: string, timestamp: number) => object | undefined) | undefined
  readonly onDecodeError: OnDecodeError
  /** The settings with which the topic is made where it is missing. Undefined: it is waited for. */
  readonly made?: Readonly<Record<string, string>>
}
/** Records for which `predicate` is true go on. Called on a view. */
export interface FilterNode extends Step {
  readonly kind: "filter"
  readonly predicate: Fn<boolean>
}
/** One record for each. Called on a plain object. */
export interface MapNode extends Step {
  readonly kind: "map"
  readonly map: Fn<object>
}
/** Any number of records for each, in their order. Called on a plain object. */
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
  /** Calls under way in a partition at most. */
  readonly concurrency: number
  /** The topics that `run` may name in a DeadLettered, sorted. */
  readonly deadLetters: readonly string[]
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
/** The stream is keyed from here on. Where it is not keyed so in the topic, an exchange follows. */
export interface KeyByNode extends Step {
  readonly kind: "keyBy"
  readonly key: Fn<string | number | bigint>
  /** Set where `key` does nothing but read this field: then the field's bytes are the key and no string is made. */
  readonly field: string | undefined
}
/** Says what the records are made of, and does nothing to them. */
export interface AsNode extends Step {
  readonly kind: "as"
  readonly schema: Schema.Top
}
/** Emits `{ key, windowStart, windowEnd, ...aggregates }` at the window's max timestamp. Its input is keyed. */
export interface WindowNode extends Step {
  readonly kind: "window"
  readonly assigner: WindowAssigner
  /** Undefined: event time. */
  readonly trigger: Trigger | undefined
  readonly evictor: Evictor | undefined
  readonly allowedLatenessMs: number
  readonly aggregates: Readonly<Record<string, Aggregate>>
  /** How its records are kept, where they are. */
  readonly element: StoredCodec | undefined
  /** The id of the KafkaSinkNode that late events go to; without it they are counted and dropped. */
  readonly late: string | undefined
  /** `retract`: emits `{ op, record }`, and takes back what it replaces. */
  readonly updates: "upsert" | "retract"
  /** Over all keys. `parts`: what comes in has been folded by pane, where it came from, by the exchange before it. */
  readonly all: "parts" | "events" | undefined
}
/** Of each key one record. Emits `{ op, record }`, or with `once` the record. Its input is keyed. */
export interface DeduplicateNode extends Step {
  readonly kind: "deduplicate"
  readonly keep: "first" | "last"
  readonly emit: "changes" | "once"
  readonly codec: StoredCodec
  /** How long a key is remembered behind its last change, in ms of event time. Undefined: for ever. */
  readonly ttlMs: number | undefined
  readonly late: string | undefined
}
/** Two streams that are keyed by the same. */
interface JoinStep extends Base {
  readonly left: string
  readonly right: string
  /** How the records of each side are kept. */
  readonly leftCodec: StoredCodec
  readonly rightCodec: StoredCodec
}
/** Pairs whose `right.time - left.time` lies within `[lowerMs, upperMs]`. */
export interface IntervalJoinNode extends JoinStep {
  readonly kind: "intervalJoin"
  readonly lowerMs: number
  readonly upperMs: number
  readonly type: JoinType
  readonly combine: (left: never, right: never) => object
  readonly leftLate: string | undefined
  readonly rightLate: string | undefined
}
/** Pairs of the same window, or all records of it together. */
export interface WindowJoinNode extends JoinStep {
  readonly kind: "windowJoin"
  readonly assigner: WindowAssigner
  readonly trigger: Trigger | undefined
  /** Of both sides together. */
  readonly evictor: Evictor | undefined
  readonly allowedLatenessMs: number
  /** `coGroup`: both lists at once. */
  readonly type: JoinType | "coGroup"
  /** `repeat`: all of it at every firing. `retract`: emits `{ op, record }`, what has changed since the last one. */
  readonly updates: "repeat" | "retract"
  readonly combine: (left: never, right: never, key: never) => object
  readonly leftLate: string | undefined
  readonly rightLate: string | undefined
}
/** Events on the left, versions of their key on the right. */
export interface TemporalJoinNode extends JoinStep {
  readonly kind: "temporalJoin"
  readonly type: "inner" | "left"
  readonly isDeleted: Fn<boolean>
  readonly combine: (event: never, version: never) => object
}
/**
 * Sends records to the partition of their key, where they are read again: one stage ends and another begins. Exchanges with
 * the same log share one topic, so that what they bring together has one order. Its input is keyed, and so is what it gives.
 */
export interface ExchangeNode extends Step {
  readonly kind: "exchange"
  /** What the topic is named after: the join behind it, or the step before it; as part of a topic's name. */
  readonly log: string
  /** Undefined: nobody said it, and records cross by what they are made of. */
  readonly schema: Schema.Top | undefined
  /** `all`: each record goes to every partition, and need not be keyed. */
  readonly to: "key" | "all"
  /** What crosses are parts of a window over all keys: the events of a transaction, folded by pane. */
  readonly parts: (Pick<WindowNode, "aggregates"> & { readonly assigner: GridAssigner }) | undefined
}
/** The latest row of each key, of one side (`stream`: the left one is a stream of events) or of both. */
export interface TableJoinNode extends JoinStep {
  readonly kind: "tableJoin"
  readonly of: "stream" | "table"
  readonly type: JoinType
  readonly leftDeleted: Fn<boolean>
  readonly rightDeleted: Fn<boolean>
  readonly combine: (left: never, right: never) => object
}
/** Several streams of one kind of record as one. */
export interface UnionNode extends Base {
  readonly kind: "union"
  readonly inputs: readonly string[]
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
/** A process step on the left whose keys all see what the stream on the right has left in a map. */
export interface BroadcastNode extends Base, Omit<ProcessNode, "kind" | "input"> {
  readonly kind: "broadcast"
  readonly left: string
  readonly right: string
  readonly broadcast: Broadcast
}
/** Finds patterns in the events of each key. What is over before it is a match goes to the side `timedOut`. */
export interface PatternNode extends Step {
  readonly kind: "pattern"
  readonly patterns: readonly PatternOf[]
  /** What it looks for: state of a step that looked for something else is refused. */
  readonly what: string
  readonly codec: StoredCodec
  readonly comparator: ((a: never, b: never) => number) | undefined
  readonly late: string | undefined
  /** How many partial matches each pattern may have in each key. */
  readonly maxPartials: number | undefined
  /** Paths say how many events were ignored. */
  readonly counted: boolean
}
/**
 * Finds patterns that come as data on the right in the events of each key on the left. What its partitions tell each other of the
 * patterns goes out by the side `agreed`, and comes back to all of them by the exchange `heard`.
 */
export interface DynamicPatternNode extends Base, Omit<PatternNode, "kind" | "input" | "patterns" | "what"> {
  readonly kind: "dynamicPattern"
  readonly left: string
  readonly right: string
  readonly heard: string
  readonly agreed: string
  readonly read: (change: PatternChange) => PatternOf | Unreadable
}
/** One of the side outputs of a step, its `input`: it gets none of the others, nor what the step emits. */
export interface SideNode extends Step {
  readonly kind: "side"
  readonly name: string
  readonly schema: Schema.Top | undefined
}
/** One that is the `late` of a step gets what that step, its `input`, calls late, and none of its results. */
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

/** A step of a plan, told by its `kind`. */
export type Node =
  | SourceNode
  | FilterNode
  | MapNode
  | FlatMapNode
  | ExtendNode
  | MapEffectNode
  | KeyByNode
  | AsNode
  | ExchangeNode
  | UnionNode
  | WindowNode
  | DeduplicateNode
  | IntervalJoinNode
  | WindowJoinNode
  | TemporalJoinNode
  | TableJoinNode
  | ProcessNode
  | BroadcastNode
  | PatternNode
  | DynamicPatternNode
  | SideNode
  | KafkaSinkNode
  | ClickHouseSinkNode
