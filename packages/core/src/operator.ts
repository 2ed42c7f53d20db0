import type { ByteWriter } from "./bytes.ts"
import type { EntryRange, EntryReader } from "./state/block.ts"
import type { Spilling } from "./state/spill.ts"

/** Before any event: nothing is late. */
export const NO_WATERMARK = Number.NEGATIVE_INFINITY
/** End of input: every window is due. */
export const END_OF_TIME = Number.POSITIVE_INFINITY

/**
 * What records and watermarks flow into, one record a call, within one partition. `timestamp` is event time in ms.
 * A record may be a reusable view: who keeps it beyond the call must have been given a materialised one (the plan
 * sees to that).
 */
export interface Input {
  readonly next: (record: object, timestamp: number) => void
  /** Monotonous: never called with a smaller value than before. */
  readonly watermark: (watermark: number) => void
}

/**
 * An operator with state of its own. All of it belongs to one partition. The engine puts those of a partition into
 * one `PartitionState` (state/partition.ts), which routes entries to them.
 */
export interface Stateful {
  /** The operator's stable id, explicit or derived from names. */
  readonly id: string
  /** `operatorHash(id)`: the first four bytes of its entries' keys. */
  readonly operator: number
  /** Writes what changed since the last call, as change entries (see state/changes.ts), and forgets it. */
  readonly delta: (out: ByteWriter) => void
  /** Writes everything, as change entries; what the next `delta` writes stays the same. */
  readonly snapshot: (out: ByteWriter) => void
  /**
   * Puts back entries of a checkpoint that stand side by side: all that the reader stands before, which are of one handle
   * and namespace. Called before any record. Throws StateError.
   */
  readonly putBack: (handle: number, entries: EntryReader) => void
  /** Puts back one change of the changelog, of one of the kinds in state/changes.ts, in log order. Throws StateError. */
  readonly restore: (change: EntryRange, kind: number) => void
  /** What the state takes in memory, and how it leaves for the spill store. Cheap to ask: no walk over the entries. */
  readonly memory: Spilling
}
