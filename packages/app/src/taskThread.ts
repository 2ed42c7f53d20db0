import { MessageChannel, type MessagePort } from "node:worker_threads"
import { messageOf } from "@headrace/core"
import { fatalMessage, LaneMetrics, PHASES, type WorkerMessage, type WorkerTask } from "@headrace/engine"
import { Effect, Schema } from "effect"
import type { Piscina } from "piscina"
import type { Orders } from "./orders.ts"
import type { Questions } from "./pattern/questions.ts"
import { workerFile } from "./place.ts"

/** A thread's task ended with an error, or was ended because it stood still. */
export class TaskFailed extends Schema.TaggedError<TaskFailed>()("TaskFailed", {
  cause: Schema.Defect(),
  stalled: Schema.optionalKey(Schema.Boolean)
}) {}

/** Where tasks run, and who is told of them. */
export interface Threads {
  readonly pool: Piscina
  /** The file that a thread runs, if not workers/task.ts. */
  readonly file?: string
  /** Clean stops that take longer are ended by force. */
  readonly stopWithinMs: number
  /** Where lanes can be asked; without it nobody asks them. */
  readonly questions?: Questions
  /** Told of each restart and of each stop by force. */
  readonly onEvent: (event: "restart" | "forced", unit: string) => void
}

/** What reaches a thread from outside while it runs. */
export interface Signals {
  /** Fails when the thread is to be ended by force: it may be deaf. */
  readonly doomed: Effect.Effect<never, TaskFailed>
  /** Ends when a lane that waits may join. */
  readonly joins: Effect.Effect<void>
  readonly orders: Orders
}

/**
 * Runs a task in a thread until it ends; fails with TaskFailed. Interrupting it stops the task cleanly, or by force when that
 * takes too long.
 */
export const runTask = (
  threads: Threads,
  name: string,
  task: Omit<WorkerTask, "control">,
  { doomed, joins, orders }: Signals
) =>
  Effect.suspend(() => {
    const { port1: control, port2 } = new MessageChannel()
    if (task.kind === "lane") threads.questions?.open(name, control)
    const abort = new AbortController()
    const done: Promise<void> = threads.pool.run(
      { ...task, control: port2 },
      { filename: threads.file ?? workerFile(), signal: abort.signal, transferList: [port2] as never }
    )
    const ended = Effect.tryPromise({ try: () => done, catch: cause => new TaskFailed({ cause }) })
    const killed = Effect.tapError(doomed, () => Effect.sync(() => abort.abort()))
    const join = Effect.map(joins, () => control.postMessage({ type: "join" } satisfies WorkerMessage))
    // The port keeps them until the thread listens.
    const told = orders.to(order => control.postMessage(order))
    return Effect.raceAllFirst([ended, killed, told, Effect.andThen(join, Effect.never)]).pipe(
      Effect.onInterrupt(() => stop(threads, name, hasStarted(task.metrics), done, control, abort)),
      Effect.ensuring(
        Effect.sync(() => {
          if (task.kind === "lane") threads.questions?.close(name)
          control.close()
        })
      )
    )
  })

const STARTING: readonly string[] = ["starting", "following", "joining", "failed"]
const hasStarted = (metrics: SharedArrayBuffer): boolean =>
  !STARTING.includes(PHASES[new LaneMetrics(metrics).get("phase")] ?? "starting")

/** A unit that never ran has nothing to commit, and may not listen yet. */
const STARTING_STOPS_WITHIN_MS = 1000

const stop = Effect.fnUntraced(function* (
  threads: Threads,
  name: string,
  started: boolean,
  done: Promise<void>,
  control: MessagePort,
  abort: AbortController
) {
  const message: WorkerMessage = { type: "stop" }
  control.postMessage(message)
  const withinMs = started ? threads.stopWithinMs : Math.min(threads.stopWithinMs, STARTING_STOPS_WITHIN_MS)
  const ended = yield* Effect.promise(() => Promise.race([settled(done), after(withinMs)]))
  if (ended === "ended") return
  if (ended === "late" && !started) return abort.abort()
  if (ended !== "late") yield* Effect.logWarning(`${name} failed while it stopped: ${reasonOf(ended.error)}`)
  else {
    yield* Effect.logWarning(`${name} did not stop within ${threads.stopWithinMs} ms and is ended by force`)
    abort.abort()
  }
  threads.onEvent("forced", name)
})

const settled = (done: Promise<void>): Promise<"ended" | { readonly error: unknown }> =>
  done.then(
    () => "ended" as const,
    (error: unknown) => ({ error })
  )

const after = (ms: number): Promise<"late"> => new Promise(resolve => setTimeout(resolve, ms, "late" as const).unref())

/** What a person is told of a failure. */
export const reasonOf = (error: unknown): string => fatalMessage(error) ?? messageOf(error)
