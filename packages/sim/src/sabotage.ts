import type { Shape } from "./pipelines.ts"

/**
 * Broken protocols, for the proof that the simulation sees them. Each is broken in the simulated clients and servers
 * around the engine, which itself stays as it is. With each stands what it has to come to: found by something else, by
 * accident, it would prove nothing.
 */
const BROKEN = {
  /** Transactions carry no offsets. */
  offsetsNotSent: /committed none/,
  /** Of touched partitions only those offsets are sent that move: nobody fences a transaction in which only time passed. */
  unchangedNotSent: /doubled [1-9]|goes on at source offset/,
  /** Offsets are committed at once, not with the transaction. */
  offsetsOutside: /lost [1-9]|but the group committed \d/,
  /** The identity in the group is taken when the process starts, not before each sending of offsets. */
  staleMember: /stalled/,
  /** Changelog records that change no state are left out. */
  emptyNotWritten: /but the group committed \d|goes on at source offset/,
  /** The other producer sends its offsets, and commits, before the end of the transaction before is known. */
  endNotAwaited: /goes on at source offset|comes before its descriptor|doubled [1-9]/,
  /** The lane is told that a flush is acknowledged before it is: the other producer overtakes. */
  flushNotAwaited: /out of order/,
  /** The client begins where its reset policy says, at the beginning of the log, not where it is told. */
  positionIgnored: /doubled [1-9]/,
  /** After an abort the positions come back, the state does not. What a lane is given it restores as it should. */
  stateNotRestored: /totals: .* is \d+ of \d+, not|the watermark goes back|late: /,
  /** State that was followed is taken for that of the committed offset. */
  followedBelieved: /goes on at source offset|comes before its descriptor|totals: |the watermark goes back|late: /,
  /** A stage's watermarks are no part of its transactions: they stay when the records before them are taken back. */
  watermarkOutside: /stage .*: the watermark .* stands before event/,
  /** The watermark of one partition is taken for that of all that flow into the stage. */
  watermarkOfOne: /stage .*: the watermark .* stands before event/,
  /** A revoked partition goes to its next owner, though the rest stays, before its transactions have ended. */
  noBarrier: /goes on at source offset|doubled [1-9]/,
  /** Lost partitions keep their state and their open transactions: the lane does not hear of it. */
  lostKept: /goes on at source offset|doubled [1-9]/,
  /** A member that its group let go while it asked to join keeps what it had, and hears that it is revoked. */
  letGoKept: /goes on at source offset|doubled [1-9]/,
  /** A lane that lost its partitions is not fenced by the group. */
  groupNotFenced: /goes on at source offset|doubled [1-9]/,
  /** Committed offsets and the changelog are read without waiting for transactions that may still commit. */
  undecidedRead: /goes on at source offset|doubled [1-9]/,
  /** A failed commit is taken for a successful one. */
  commitAssumed: /lost [1-9]|goes on at source offset|comes before its descriptor/,
  /** Transactions are sent once more though the end of one is not known. */
  unknownRepeated: /doubled [1-9]|goes on at source offset|fired with (\d+), then \1$/,
  /** After a request that ended unanswered the producer keeps its session. */
  poisonIgnored:
    /lost [1-9]|doubled [1-9]|goes on at source offset|comes before its descriptor|but the group committed/,
  /** A producer that starts leaves open what its predecessor left open, and goes on in it. */
  openNotAborted: /doubled [1-9]|goes on at source offset/,
  /** A savepoint is of the offsets of a commit, and of the state of the one before. */
  savepointStale: /totals: |pairs: |the watermark goes back|late: |ends at .* of channel|never fired|comes before its/,
  /** A savepoint is taken while records are between the stages, and does not look. */
  savepointInFlight: /stage .*: event \d+ never crossed/,
  /** The changelog is trimmed up to the newest checkpoint, not up to the oldest that is retained. */
  trimmedTooFar: /begins at \d+, (but|after) the newest usable checkpoint/,
  /** What stands beside committed offsets does not come back: nobody knows what partitions of other processes have come to. */
  besideLost: /reads \S+ on, ahead of/,
  /** A plan is taken for committed before it is: the insert may come first. */
  planNotAwaited: /everything before offset \d+ is in the table|the table holds rows up to/,
  /** The table does not remember the tokens of its blocks. */
  noDedupToken: /table, .*doubled [1-9]/,
  /** An insert does not look at the ledger of finished blocks. */
  ledgerIgnored: /table, .*doubled [1-9]/,
  /** What is in the table is taken for finished, up to the last row. */
  ledgerByMaxOffset: /table, .*lost [1-9]/,
  /** A failed insert is taken for a successful one. */
  insertAssumed: /table, .*lost [1-9]/
} as const

const SOONEST_IN: { readonly [sabotage in Sabotage]?: Shape } = {
  unchangedNotSent: "alarms",
  watermarkOutside: "crossing",
  watermarkOfOne: "crossing",
  poisonIgnored: "crossing",
  savepointInFlight: "crossing",
  besideLost: "aligned",
  planNotAwaited: "table",
  noDedupToken: "table",
  ledgerIgnored: "table",
  ledgerByMaxOffset: "table",
  insertAssumed: "table"
}

/** The shape in which it comes to that soonest; undefined: any. */
export const shapeFor = (sabotage: Sabotage): Shape | undefined => SOONEST_IN[sabotage]

export type Sabotage = keyof typeof BROKEN
export const SABOTAGES = Object.keys(BROKEN) as readonly Sabotage[]

/** Whether this is what the broken protocol has to come to. */
export const shows = (sabotage: Sabotage, violation: string): boolean => BROKEN[sabotage].test(violation)
