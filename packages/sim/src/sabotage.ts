/**
 * Broken protocols, for the proof that the checker sees them. Each is broken in the simulated clients around the lane:
 * the engine itself stays as it is.
 */
export const SABOTAGES = [
  /** Transactions carry no offsets. */
  "offsetsNotSent",
  /** Offsets are committed at once, not with the transaction. */
  "offsetsOutside",
  /** The other producer sends its offsets, and commits, before the end of the transaction before is known. */
  "endNotAwaited",
  /** The lane is told that a flush is acknowledged before it is: the other producer overtakes. */
  "flushNotAwaited",
  /** After an abort the positions come back, the state does not. */
  "stateNotRestored",
  /** A revoked partition goes to its next owner before its transactions have ended. */
  "noBarrier",
  /** A lane that lost its partitions is not fenced by the group. */
  "groupNotFenced",
  /** Committed offsets and the changelog are read without waiting for transactions that may still commit. */
  "undecidedRead",
  /** A failed commit is taken for a successful one. */
  "commitAssumed",
  /** After a request that ended unanswered the producer keeps its session. */
  "poisonIgnored",
  /** The changelog is trimmed up to the newest checkpoint, not up to the oldest that is retained. */
  "trimmedTooFar"
] as const
export type Sabotage = (typeof SABOTAGES)[number]
