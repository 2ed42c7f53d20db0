import { Cause, Effect, type Fiber, Queue, Semaphore } from "effect"
import { nowMs } from "../clock.ts"
import type { LaneMetrics } from "../metrics.ts"
import { persistently } from "../patience.ts"
import type { Blobs } from "../ports/blobs.ts"
import { type ChangelogReader, LogError, type Producer, type Source, type TopicPartition } from "../ports/log.ts"
import type { PartitionProgress, RestoreProgress } from "../recovery/progress.ts"
import type { Restored } from "../recovery/restore.ts"
import { untilRestored } from "../recovery/restores.ts"
import type { Task } from "../task/task.ts"
import { Ends } from "./ends.ts"
import type { Command, Event } from "./events.ts"
import type { Lane } from "./lane.ts"
import { watchQuiet } from "./quiet.ts"
import { type Busy, Standing } from "./standing.ts"
import { nameOf } from "./tasks.ts"

/** Commands under way are few (a poll, two transactions, restores); this leaves room for releases and a stop. */
const EVENT_QUEUE = 64
const POLL_FAILURE_PAUSE = "100 millis"

export interface LaneParts {
  readonly lane: Lane
  readonly source: Source
  readonly producers: readonly [Producer, Producer]
  /** Reads partitions apart from the group. */
  readonly reader: ChangelogReader
  readonly restore: (task: Task, part: PartitionProgress) => Effect.Effect<Restored, LogError, Blobs>
  /** Of all that it restores, or is to. */
  readonly progress: RestoreProgress
  /** Leaves the group. */
  readonly close: Effect.Effect<void, LogError>
  readonly metrics: LaneMetrics
  /** Those that the job reads, as they are numbered in metrics. */
  readonly topics: readonly string[]
  /** Says which partitions the lane has, and which of them have come to rest: some times a second, and at each step of a halt. */
  readonly say: () => void
  /** Partitions restored at the same time. */
  readonly restoreConcurrency: number
}

/** How the outside reaches a running lane. */
export interface LaneHandle {
  readonly offer: (event: Event) => void
}

/**
 * Runs a lane: feeds it one event at a time and begins the commands that it answers with, each of which comes back as
 * an event. Ends when the lane has closed, or with the error that it gave up for: also a record that cannot be decoded, or
 * that a function of the pipeline threw at. An asynchronous step that died is a defect: the lane's supervisor restarts it.
 */
export const runLane = (parts: LaneParts, attach: (handle: LaneHandle) => void): Effect.Effect<void, LogError, Blobs> =>
  Effect.scoped(
    Effect.gen(function* () {
      const events = yield* Queue.bounded<Event>(EVENT_QUEUE)
      // Any number of asynchronous steps may finish in one turn; the lane takes all of them up at once.
      let released = false
      const offer = (event: Event): void => {
        if (event.type === "released") {
          if (released) return
          released = true
        }
        if (Queue.offerUnsafe(events, event)) return
        // Thrown here, it would end the fiber of a command and nobody would hear of it: the lane would wait for ever.
        Queue.failCauseUnsafe(events, Cause.die(new Error(`The lane's event queue is full at ${event.type}`)))
      }
      attach({ offer })
      offer({ type: "start" })
      const { lane } = parts
      const ends = new Ends(parts)
      yield* Effect.forkScoped(ends.watch)
      let undecided: ReadonlySet<string> = new Set()
      const onUndecided = (partitions: ReadonlySet<string>): void => {
        undecided = partitions
      }
      yield* Effect.forkScoped(watchLag(parts, ends, partition => undecided.has(nameOf(partition))))
      yield* Effect.forkScoped(watchQuiet({ ...parts, source: ends, onUndecided }, offer))
      const restores = makeRestores(parts)
      while (!lane.ended) {
        let next: Event | undefined = yield* Queue.take(events)
        while (next !== undefined) {
          if (next.type === "released") released = false
          const commands = lane.step(next, performance.now(), Date.now())
          if (lane.halt !== undefined) parts.say()
          next = undefined
          for (const command of commands) {
            if (command.type === "process") next = command
            else if (command.type === "fail") return yield* Effect.fail(command.error)
            else if (command.type === "abandon") restores.abandon(command.tasks)
            else if (command.type === "restore") yield* restores.begin(command.task, offer)
            else yield* Effect.forkScoped(complete(command, perform(parts, command)).pipe(Effect.map(offer)))
          }
        }
      }
    })
  ).pipe(Effect.catchDefect(raised))

const LAG_INTERVAL = "250 millis"

/**
 * Keeps the lag gauge: records of the source that are not processed yet, over all partitions of the lane; and which of those stands
 * still. Says which they are.
 */
const watchLag = (
  { lane, metrics, topics, progress, say }: LaneParts,
  ends: Ends,
  isUndecided: (partition: TopicPartition) => boolean
): Effect.Effect<never> => {
  const standing = new Standing(metrics, topics)
  const look = (now: number): void => {
    metrics.set("inFlight", lane.inFlight)
    say()
    // What stands before a halt is left to whoever goes on.
    const positions = lane.halt === undefined ? lane.positions() : []
    let lag = 0
    const busy: Busy[] = progress.under.map(one => ({ ...one, why: "restore" }))
    for (const one of positions) {
      const behind = Math.max(0, (ends.knownEnd(one) ?? one.offset) - one.offset)
      lag += behind
      if (behind === 0 || lane.isHeldBack(one)) continue
      busy.push({ ...one, at: one.offset, why: isUndecided(one) ? "undecided" : "unread" })
    }
    metrics.set("lag", lag)
    standing.look(busy, now)
  }
  return Effect.map(nowMs, look).pipe(Effect.andThen(Effect.sleep(LAG_INTERVAL)), Effect.forever)
}

/** A record that cannot be decoded, or a disk that is full, is thrown from within a step as the LogError that it is. */
const raised = (defect: unknown): Effect.Effect<never, LogError> =>
  defect instanceof LogError ? Effect.fail(defect) : Effect.die(defect)

/** Restores under way, a few at a time. One that is abandoned ends without an event, and its task with it. */
const makeRestores = (parts: LaneParts) => {
  const fibers = new Map<Task, Fiber.Fiber<void>>()
  const some = Semaphore.makeUnsafe(parts.restoreConcurrency)
  const restore = (task: Task, part: PartitionProgress) =>
    Effect.suspend(() => {
      part.begin()
      return parts.restore(task, part)
    })
  const restored = (task: Task): Effect.Effect<Event, LogError, Blobs> =>
    Effect.map(
      // One that waits to begin again leaves its turn to others.
      untilRestored(task, parts, part => some.withPermit(restore(task, part))),
      at => ({ type: "restored", task, at })
    )
  return {
    begin: (task: Task, offer: (event: Event) => void) =>
      Effect.map(Effect.forkScoped(Effect.map(complete({ type: "restore", task }, restored(task)), offer)), fiber => {
        fibers.set(task, fiber)
        fiber.addObserver(() => fibers.delete(task))
      }),
    abandon: (tasks: readonly Task[]): void => {
      for (const task of tasks) {
        const fiber = fibers.get(task)
        if (fiber === undefined) task.close()
        else {
          fiber.addObserver(() => task.close())
          fiber.interruptUnsafe()
        }
      }
    }
  }
}

/** A command's failure is an event too. */
const complete = <R>(command: Command, performed: Effect.Effect<Event, LogError, R>): Effect.Effect<Event, never, R> =>
  performed.pipe(
    Effect.catchDefect(raised),
    Effect.tapError(error => Effect.logWarning(`${error.message} (${consequence(command)})`)),
    Effect.catch(error => Effect.succeed<Event>({ type: "failed", command: command.type, error, ...placeOf(command) })),
    Effect.catchCause(cause =>
      Effect.succeed<Event>({
        type: "failed",
        command: command.type,
        error: new LogError("Stop", Cause.pretty(cause)),
        ...placeOf(command)
      })
    )
  )

/** What a failure of this command comes to; see `Failures.failed`. */
const consequence = (command: Command): string =>
  "turn" in command
    ? `what is not committed is ${command.type === "commit" ? "rebuilt from the log" : "sent once more, or rebuilt from the log"}`
    : "the lane tries again or gives up"

const placeOf = (command: Command) => {
  if ("turn" in command) return { turn: command.turn }
  return command.type === "restore" ? { task: command.task } : {}
}

const perform = (parts: LaneParts, command: Command): Effect.Effect<Event, LogError> => {
  const { source, producers } = parts
  switch (command.type) {
    case "poll":
      return source.poll(command.maxRecords, command.timeoutMs).pipe(
        Effect.map((polled): Event => ({ type: "polled", ...polled })),
        // What failed at once would fail again at once.
        Effect.tapError(() => Effect.sleep(POLL_FAILURE_PAUSE))
      )
    case "produce":
      return produce(producers[command.turn], command)
    case "flush":
      return Effect.as(producers[command.turn].flush(), { type: "flushed", turn: command.turn })
    case "sendOffsets":
      return Effect.as(producers[command.turn].sendOffsets(command.offsets, source.member), {
        type: "offsetsSent",
        turn: command.turn
      })
    case "commit":
      return Effect.map(producers[command.turn].commit(), () => ({
        type: "committed",
        turn: command.turn,
        poisoned: producers[command.turn].poisoned()
      }))
    case "initialise":
      return Effect.as(persistently(producers[command.turn].initialise()), { type: "initialised", turn: command.turn })
    case "take":
      return Effect.as(source.take(command.tasks), { type: "held", tasks: command.tasks })
    case "pause":
      return Effect.as(source.pause(command.tasks), { type: "held", tasks: command.tasks })
    case "seek":
      return Effect.as(source.seek(command.positions), { type: "sought" })
    case "unassign":
      return Effect.as(source.unassign(command.partitions), { type: "unassigned" })
    case "close":
      return Effect.as(parts.close, { type: "closed" })
    case "relieve":
      return Effect.as(Effect.yieldNow, { type: "relieve" })
    case "process":
    case "restore":
    case "abandon":
    case "fail":
      return Effect.die(new Error(`${command.type} is not a call`))
  }
}

const produce = (producer: Producer, command: Extract<Command, { type: "produce" }>): Effect.Effect<Event, LogError> =>
  Effect.as(
    command.begin
      ? Effect.andThen(producer.begin(), producer.produce(command.outputs))
      : producer.produce(command.outputs),
    { type: "produced", turn: command.turn }
  )
