import type { Batch, GroupChange, LogError, Place, Position, TopicPartition } from "../ports/log.ts"
import type { Restored } from "../recovery/restore.ts"
import type { Outputs } from "../task/outputs.ts"
import type { Task, TaskMatch } from "../task/task.ts"

/** Which of the lane's two producers, used in turn. */
export type Turn = 0 | 1

/** A job comes to rest, one stage after the other. */
export interface Halt {
  /** Tells it from others: the same for all lanes, also for one that is started again meanwhile. */
  readonly number: number
  /** Event time comes to its end before. */
  readonly drain: boolean
}

/** What happens to a lane. The interpreter feeds one at a time, each the completion of a command or a wish. */
export type Event =
  | { readonly type: "start" }
  | { readonly type: "polled"; readonly batch: Batch; readonly changes: readonly GroupChange[] }
  /** Runs the batch that was polled last; apart from `polled`, so that the next poll is already under way. */
  | { readonly type: "process" }
  /** The turn has come for more of what leaves memory. */
  | { readonly type: "relieve" }
  | { readonly type: "produced" | "flushed" | "offsetsSent"; readonly turn: Turn }
  | { readonly type: "committed"; readonly turn: Turn; readonly poisoned: boolean }
  | { readonly type: "initialised"; readonly turn: Turn }
  | { readonly type: "restored"; readonly task: Task; readonly at: Restored }
  /** The client reads nothing of these partitions until it is told where to begin. */
  | { readonly type: "held"; readonly tasks: readonly Task[] }
  | { readonly type: "unassigned" | "sought" | "closed" }
  /** Nothing but markers stands between a partition's position and `end`. */
  | { readonly type: "passed"; readonly position: Position; readonly end: number }
  /** An asynchronous step finished. */
  | { readonly type: "released" }
  | {
      readonly type: "failed"
      readonly command: Command["type"]
      readonly turn?: Turn
      readonly task?: Task
      readonly error: LogError
    }
  /** Take nothing in from outside any more; work off what is on its way, and wait. */
  | { readonly type: "halt"; readonly halt: Halt }
  /** Go on after a halt. */
  | { readonly type: "resume" }
  | { readonly type: "stop" }
  /** Somebody wants to know what patterns have under way in a key. */
  | { readonly type: "asked"; readonly key: string; readonly answer: (found: readonly TaskMatch[]) => void }

/** What the lane wants done. Commands of one step are begun in order; each but `abandon` completes with one event. */
export type Command =
  | { readonly type: "poll"; readonly maxRecords: number; readonly timeoutMs: number }
  | { readonly type: "process" }
  /** Comes back as it is, behind whatever else happened meanwhile. */
  | { readonly type: "relieve" }
  | { readonly type: "produce"; readonly turn: Turn; readonly begin: boolean; readonly outputs: Outputs }
  | { readonly type: "flush"; readonly turn: Turn }
  | { readonly type: "sendOffsets"; readonly turn: Turn; readonly offsets: readonly Place[] }
  | { readonly type: "commit"; readonly turn: Turn }
  /** Aborts what is open under this producer's id and makes it usable again, however long that takes. */
  | { readonly type: "initialise"; readonly turn: Turn }
  /** Answers the group: the partitions of these tasks are the lane's, and nothing is read of them before `seek`. */
  | { readonly type: "take"; readonly tasks: readonly Task[] }
  /** Reads nothing more of partitions that are being read, until `seek`. */
  | { readonly type: "pause"; readonly tasks: readonly Task[] }
  /** Brings the state of a partition back. */
  | { readonly type: "restore"; readonly task: Task }
  /** Nobody waits for these restores any more. The one command that no event answers. */
  | { readonly type: "abandon"; readonly tasks: readonly Task[] }
  /** Reads on from here. */
  | { readonly type: "seek"; readonly positions: readonly Position[] }
  | { readonly type: "unassign"; readonly partitions: readonly TopicPartition[] }
  /** Leaves the group; the lane is done. */
  | { readonly type: "close" }
  /** Nothing more can be done by itself: the lane ends with this error. */
  | { readonly type: "fail"; readonly error: LogError }
