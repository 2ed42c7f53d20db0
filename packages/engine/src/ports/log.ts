import type { Effect, Scope } from "effect"
import type { Outputs } from "../task/outputs.ts"

/** Numbers a record in `Batch.index`: topic, partition, key, value and headers as ranges of `Batch.bytes`. */
export const STRIDE = 8
export const TOPIC = 0
export const PARTITION = 1
export const KEY_START = 2
/** -1: no key. */
export const KEY_LENGTH = 3
export const VALUE_START = 4
/** -1: no value (a tombstone). */
export const VALUE_LENGTH = 5
export const HEADERS_START = 6
/** 0: none. */
export const HEADERS_LENGTH = 7

/** Records as the native client hands them over: no object for each. Valid until the poll after next. */
export interface Batch {
  readonly bytes: Uint8Array
  /** STRIDE numbers a record. */
  readonly index: Int32Array
  /** Two numbers a record: offset, Kafka timestamp in ms. */
  readonly stamps: Float64Array
  readonly count: number
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
export interface Position extends TopicPartition {
  /** The next offset to read. */
  readonly offset: number
}
/** A position, and what is to stand beside it. */
export interface Place extends Position {
  readonly metadata?: string
}

/**
 * What the group did to the lane, in the order in which the client said it: always a part of what it has, never all anew.
 * There is no other change before it was answered, by `take` or `unassign`. An `assign` of nothing has no answer: the lane
 * is a member and was given nothing so far.
 */
export type GroupChange = {
  readonly type: "assign" | "revoke" | "lost"
  readonly partitions: readonly TopicPartition[]
}

export interface Polled {
  readonly batch: Batch
  readonly changes: readonly GroupChange[]
}

/**
 * What became of a call. `Retry`: nothing happened, the same call may be made again. `Abort`: the transaction can only
 * be aborted. `Unknown`: it may or may not have happened. `Gone`: the same, and the client is of no more use: another
 * one goes on from what is committed. `Fenced`: somebody else has this identity. `Stop`: a person must act.
 */
export type LogFailure = "Retry" | "Abort" | "Unknown" | "Gone" | "Fenced" | "Stop"

/** A failed call to the log. `message` says what happened to what and what to do. */
export class LogError extends Error {
  readonly _tag = "LogError"
  override readonly name = "LogError"
  readonly failure: LogFailure
  constructor(failure: LogFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.failure = failure
  }
}

/** The lane's membership in the job's consumer group. Calls are carried out in the order in which they are made. */
export interface Source {
  /** The name behind an id in `Batch.index`. */
  readonly topic: (id: number) => string
  /** Answers with what is there, at the latest after `timeoutMs` with nothing. Two batches are valid at a time. */
  readonly poll: (maxRecords: number, timeoutMs: number) => Effect.Effect<Polled, LogError>
  /** Takes what the group gives, which waits for that: nothing is read of it before `seek`. */
  readonly take: (partitions: readonly TopicPartition[]) => Effect.Effect<void, LogError>
  /** Nothing more is read of partitions that were being read, before the next `seek`; what was fetched is dropped. */
  readonly pause: (partitions: readonly TopicPartition[]) => Effect.Effect<void, LogError>
  /** Reads on at explicit offsets in partitions that were taken or paused. */
  readonly seek: (positions: readonly Position[]) => Effect.Effect<void, LogError>
  /** Gives partitions back; answers a pending revocation or loss, which waits for that. */
  readonly unassign: (partitions: readonly TopicPartition[]) => Effect.Effect<void, LogError>
  /**
   * The stable committed offsets (no transaction pending on them); undefined where there is none. Like `range` it may
   * take its time without holding up the other calls.
   */
  readonly committed: (
    partitions: readonly TopicPartition[]
  ) => Effect.Effect<readonly (number | undefined)[], LogError>
  /** First offset still in the log, and the end (last stable offset). */
  readonly range: (
    partition: TopicPartition
  ) => Effect.Effect<{ readonly start: number; readonly end: number }, LogError>
  /**
   * The ends of everything, also of what is not decided yet, asked from the brokers: of several partitions at once, a request to
   * each broker. Holds up no other call but `range`, and fails within a few seconds.
   */
  readonly ends: (partitions: readonly TopicPartition[]) => Effect.Effect<readonly number[], LogError>
  /** The end of the log as of the last fetch, without a request; undefined before the first one. */
  readonly knownEnd: (partition: TopicPartition) => number | undefined
  /** The member's identity, for the cluster's producers only: they take its epoch just before they send offsets. */
  readonly member: unknown
}

/** The coordinator aborts a transaction that is open for longer, and fences its producer. */
export const TRANSACTION_TIMEOUT_MS = 10_000

/** One transactional producer. Calls are made in the order of a transaction, one at a time. */
export interface Producer {
  readonly id: string
  /** Aborts what a predecessor of the same id left open and fences it. Also after `poisoned` or a failure. */
  readonly initialise: () => Effect.Effect<void, LogError>
  readonly begin: () => Effect.Effect<void, LogError>
  /** Copies all outputs; the buffer is free again when it returns. */
  readonly produce: (outputs: Outputs) => Effect.Effect<void, LogError>
  readonly flush: () => Effect.Effect<void, LogError>
  readonly sendOffsets: (offsets: readonly Place[], member: unknown) => Effect.Effect<void, LogError>
  readonly commit: () => Effect.Effect<void, LogError>
  /** A request ended unanswered, so a copy of it may still arrive: initialise before the next transaction. */
  readonly poisoned: () => boolean
}

/**
 * Reads a changelog partition from `offset` to its last stable offset, and hands over each committed record; none where
 * the log begins after `offset`, which `start` then says. `record` says whether to go on: else the read ends behind it.
 * `between` runs between two short runs of records. Several partitions may be read at a time; more wait for their turn.
 */
export interface ChangelogReader {
  readonly read: (
    partition: TopicPartition,
    offset: number | "beginning",
    record: (offset: number, bytes: Uint8Array, start: number, end: number) => boolean,
    between?: Effect.Effect<void>
  ) => Effect.Effect<{ readonly start: number; readonly end: number }, LogError>
  /**
   * Begins to fetch what `read` is going to be asked for, the partition from this offset on; it is kept while the scope lives.
   * What goes wrong is that `read`'s affair.
   */
  readonly ahead: (partition: TopicPartition, offset: number) => Effect.Effect<void, never, Scope.Scope>
  /** The end of all that was written: the last stable offset is there once every transaction in it has ended. */
  readonly written: (partition: TopicPartition) => Effect.Effect<number, LogError>
  /** The last stable offset: up to where every transaction has ended. */
  readonly stable: (partition: TopicPartition) => Effect.Effect<number, LogError>
}
