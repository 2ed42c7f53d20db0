import {
  beating,
  LaneMetrics,
  type LaneQuestion,
  refuseHalfRestored,
  runLaneJob,
  type WorkerMessage,
  type WorkerTask
} from "@headrace/engine"
import { Deferred, Effect } from "effect"
import { layerNoted } from "./log.ts"
import { planOf } from "./plan.ts"
import { asFatal, servicesOf } from "./services.ts"

/** One lane, for as long as the job runs: the task of a pool's thread. */
export default async (task: WorkerTask): Promise<void> => {
  const { job, control, waits = false } = task
  const admitted = Deferred.makeUnsafe<void>()
  const stopped = Deferred.makeUnsafe<void>()
  // What is said before the lane listens is kept, unless it waits: then there is nothing to end.
  const early: WorkerMessage[] = []
  /** Before it runs a lane has nothing to tell. */
  const ask = ({ answer }: LaneQuestion) => answer.postMessage([])
  let offer = (message: WorkerMessage): void => {
    if (message.type === "ask") ask(message)
    else if (message.type === "join") Deferred.doneUnsafe(admitted, Effect.void)
    else if (waits && !Deferred.isDoneUnsafe(admitted)) Deferred.doneUnsafe(stopped, Effect.void)
    else early.push(message)
  }
  control.on("message", (message: WorkerMessage) => offer(message))
  const plan = await planOf(task)
  const metrics = new LaneMetrics(task.metrics)
  const waiting = waits ? { admitted: Deferred.await(admitted) } : {}
  const known = task.topics === undefined ? {} : { topics: task.topics }
  const shared = {
    ...(task.clocks === undefined ? {} : { clocks: task.clocks }),
    ...(task.whereabouts === undefined ? {} : { whereabouts: task.whereabouts })
  }
  const run = runLaneJob({ plan, job, lane: task.index, metrics, ...known, ...shared, ...waiting }, handle => {
    offer = message => {
      if (message.type === "ask") {
        const { key, answer } = message
        handle.offer({ type: "asked", key, answer: found => answer.postMessage(found) })
      } else if (message.type !== "join") handle.offer(message)
    }
    for (const message of early.splice(0)) offer(message)
  })
  await Effect.runPromise(
    // Told to stop while it waits, the lane has nothing to settle.
    Effect.raceAllFirst([
      Effect.andThen(refuseHalfRestored(job.app), run),
      Deferred.await(stopped),
      beating(metrics)
    ]).pipe(
      Effect.mapError(asFatal),
      Effect.provide(layerNoted(metrics)),
      Effect.provide(servicesOf(job)),
      Effect.ensuring(Effect.sync(() => control.close()))
    )
  )
}
