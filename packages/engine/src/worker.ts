import type { MessagePort } from "node:worker_threads"
import type { JobConfig } from "./job.ts"
import type { Halt } from "./lane/events.ts"
import type { SharedWhereabouts } from "./lane/whereabouts.ts"

/** What a thread of the pool does. */
export type WorkerKind = "lane" | "clickhouse" | "checkpoint"

/**
 * One task of the pool. A worker file default-exports `(task: WorkerTask) => Promise<void>`: it resolves after a clean
 * stop (or when a short task is done) and rejects when it failed. The supervisor then starts it again from what is
 * committed, unless the error was made by `fatal`.
 */
export interface WorkerTask {
  readonly kind: WorkerKind
  readonly job: JobConfig
  /** Lane number from 0, or the number of the sink. */
  readonly index: number
  /** A `LaneMetrics` buffer: written by the thread, read by the main thread at any time. */
  readonly metrics: SharedArrayBuffer
  /** Carries `WorkerMessage`s from the main thread. The worker closes it when it ends. */
  readonly control: MessagePort
  /** The plan's digest in the main thread: a thread that computes another one must not run. */
  readonly digest: string
  /** How many partitions the job's topics have, where the process has just looked. */
  readonly topics?: ReadonlyMap<string, number>
  /** What the lanes of a process share of how far partitions are, where the pipeline aligns sources: see `GroupClocks`. */
  readonly clocks?: SharedArrayBuffer
  /** Where a lane says which partitions it has, and which have come to rest: see `Whereabouts`. */
  readonly whereabouts?: SharedWhereabouts
  /** A lane that stays outside of its group until it is told to join, and follows what its predecessor owns. */
  readonly waits?: boolean
  /** The plan node that a sink's thread serves. */
  readonly nodeId?: string
}

/** Has a thread load what a lane of this pipeline needs, before there is one to run; what goes wrong does so again with the lane. */
export interface WorkerLoad {
  readonly load: string
}

/** What is asked of a lane: what patterns have under way in a key. The answer comes as one message, an array of `TaskMatch`. */
export interface LaneQuestion {
  readonly type: "ask"
  readonly key: string
  readonly answer: MessagePort
}

/**
 * `halt`: take nothing in from outside any more, and work off what is on its way between the stages; with `drain` event time
 * ends first, so that all windows and timers fire. The lane says what has come to rest (`Whereabouts`), and waits.
 * `resume`: go on after that.
 * `stop`: commit, leave the group, resolve.
 * `join`: a lane that waits outside of its group enters it.
 */
export type WorkerMessage =
  | LaneQuestion
  | { readonly type: "halt"; readonly halt: Halt }
  | { readonly type: "resume" }
  | { readonly type: "stop" }
  | { readonly type: "join" }

const FATAL = "fatal: "

/** An error after which starting again would not help: a person must act. Stops the whole job with exit code 1. */
export const fatal = (message: string, options?: ErrorOptions): Error => new Error(FATAL + message, options)

/** The message of an error made by `fatal`, also after it crossed threads (which keeps nothing but the message). */
export const fatalMessage = (error: unknown): string | undefined =>
  error instanceof Error && error.message.startsWith(FATAL) ? error.message.slice(FATAL.length) : undefined
