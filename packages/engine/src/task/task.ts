import type { ByteWriter, OpenMatch, StoredBlock } from "@headrace/core"
import type { Batch, TopicPartition } from "../ports/log.ts"
import type { StateRow } from "../state-sizes.ts"

/** What a step has under way in a partition of its log. */
export interface TaskMatch extends OpenMatch, TopicPartition {
  /** The step's id. */
  readonly node: string
  readonly key: string
}

/** The operator chain and the state of one source partition. Made when the partition is assigned, dropped when it goes. */
export interface Task extends TopicPartition {
  /** It reads what the stage before writes, not what comes from outside: a job that drains reads it to its end. */
  readonly internal: boolean
  /** Runs records [from, to) of the batch, all of this partition, and then advances the watermark. */
  readonly process: (batch: Batch, from: number, to: number) => void
  /** Windows or timers that are due, or what the next stage is to hear, wait for `proceed`. False until the task has started. */
  readonly pending: () => boolean
  /** Fires up to `limit` of their results or calls and answers how many it did. Called between batches while some are pending. */
  readonly proceed: (limit: number) => number
  /** Event time is at its end: windows and timers become due, all of them. What is in flight has to be done before. False if it was already. */
  readonly end: () => boolean
  /**
   * The job halts. If nothing is on its way here any more, due or in flight, the partition comes to rest: the next stage
   * hears of it, and nothing becomes due afterwards. Whether something happened that is to be committed.
   */
  readonly halt: (number: number) => boolean
  /** It is at rest no more. */
  readonly goOn: () => void
  /** It has come to rest by this halt. */
  readonly halted: (number: number) => boolean
  /** Goes on at this offset: nothing that is a record stands before it. Part of the next transaction. */
  readonly pass: (offset: number) => void
  /** Takes up what asynchronous steps finished since the last call. */
  readonly release: () => void
  /** The next offset to read. */
  readonly nextOffset: () => number
  /** Behind its last record, or where it began: what was passed since is none. */
  readonly readTo: () => number
  /** Whether nothing is read of it until further notice, though there may be something: then it is not idle. */
  readonly holdBack: (isHeld: boolean) => void
  /** The next offset to commit: every record below it is done, and its outputs are in the outputs. */
  readonly committable: () => number
  /** Records whose asynchronous step has not finished. */
  readonly inFlight: () => number
  /** Whether a transaction may close now: not while a record that touched state waits in an asynchronous step. */
  readonly closable: () => boolean
  /** Whether such a wait is possible at all. */
  readonly mayWait: () => boolean
  /** Something happened since the last delta: the partition is part of the transaction. */
  readonly touched: () => boolean
  /** Writes the state's change entries since the last call. */
  readonly delta: (out: ByteWriter) => void
  /** Puts back a block of a checkpoint (core's), and answers how many entries that were. Throws StateError. */
  readonly restore: (block: StoredBlock) => number
  /** Puts back the changes of one changelog record, in their order. Throws StateError. */
  readonly apply: (changes: Uint8Array) => void
  /** Throws away what was put back so far: as it was when it was made. */
  readonly reset: () => void
  /** The committed offset that the state was restored to. */
  readonly startedAt: () => number
  /** How much state each operator has. */
  readonly sizes: () => readonly StateRow[]
  /** What the pattern steps have under way in a key. */
  readonly openMatches: (key: string) => readonly TaskMatch[]
  /** Event time in ms, -Infinity before the first record. */
  readonly watermark: () => number
  /**
   * State is back as of `committed`: processing goes on at `offset`. Where records between them were lost, that becomes
   * part of the next transaction, so that offsets and changelog go on together.
   */
  readonly start: (at: { readonly offset: number; readonly committed: number }) => void
  /** Drops what is in flight; its late completions are ignored. */
  readonly interrupt: () => void
  /** Throws away the state. Nothing is called after that, and no restore is under way. */
  readonly close: () => void
}
