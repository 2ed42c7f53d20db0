/**
 * Broken protocols, for the proof that the checker sees them. Each is broken in the simulated clients around the lane:
 * the engine itself stays as it is.
 */
export const SABOTAGES = [
  /** Transactions carry no offsets. */
  "offsetsNotSent",
  /** The lane is told that a flush is acknowledged before it is: the other producer overtakes. */
  "flushNotAwaited",
  /** After an abort the positions come back, the state does not. */
  "stateNotRestored",
  /** A revoked partition goes to its next owner before its transactions have ended. */
  "noBarrier",
  /** A lane that lost its partitions is not fenced by the group. */
  "groupNotFenced",
  /** Committed offsets are read without waiting for those of transactions that may still commit. */
  "unstableOffsets",
  /** A failed commit is taken for a successful one. */
  "commitAssumed",
  /** After a request that ended unanswered the producer keeps its session. */
  "poisonIgnored"
] as const
export type Sabotage = (typeof SABOTAGES)[number]
