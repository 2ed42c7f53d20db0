import { fatal, fatalMessage, type JobConfig, PHASES, type Whereabouts, type WorkerTask } from "@headrace/engine"
import { Deferred, Effect, Result, Schema } from "effect"
import type { Piscina } from "piscina"
import { checkpointing } from "./checkpointRounds.ts"
import type { Checkpoints } from "./checkpoints.ts"
import { lanesRun } from "./lanesFirst.ts"
import { Orders } from "./orders.ts"
import { reasonOf, runTask, TaskFailed, type Threads } from "./taskThread.ts"
import { threads } from "./threads.ts"
import type { Unit } from "./unit.ts"
import { type Watchdog, watchdog } from "./watchdog.ts"

/** The job cannot go on: a person must act, or it failed too often. Ends the process with exit code 1. */
export class JobFailed extends Schema.TaggedError<JobFailed>()("JobFailed", { message: Schema.String }) {}

/** When a failed unit is started again, and when that is given up. */
export interface RestartPolicy {
  readonly firstDelayMs: number
  /** The delay doubles with each failure up to this. */
  readonly maxDelayMs: number
  /** A run that has got on with its work for this long forgets the failures before it. Restores do not count. */
  readonly healthyMs: number
  /** Failures without a healthy run between them after which the job is given up. */
  readonly maxFailures: number
  /** The same for those among them that were stalls: each has taken its time. */
  readonly maxStalls: number
}
export const defaultRestarts: RestartPolicy = {
  firstDelayMs: 250,
  maxDelayMs: 15_000,
  healthyMs: 60_000,
  maxFailures: 20,
  maxStalls: 3
}

/** When a process that takes the place of another one may begin with what must not run in both. */
export interface Admission {
  /** The lanes may join their group; until then they follow. */
  readonly lanes: Deferred.Deferred<void>
  /** Tables and checkpoints may begin. */
  readonly rest: Deferred.Deferred<void>
}

export interface Supervised extends Omit<Threads, "pool"> {
  readonly job: JobConfig
  readonly digest: string
  readonly units: readonly Unit[]
  /** Where they run; without it in a pool of its own. */
  readonly pool?: Piscina
  /** What was found of the job's topics just now. Lanes that are started again look themselves. */
  readonly topics?: ReadonlyMap<string, number>
  /** What lanes share of how far partitions are, see `GroupClocks`. */
  readonly clocks?: SharedArrayBuffer
  /** Where lanes say which partitions they have, and which have come to rest. */
  readonly whereabouts?: Whereabouts
  readonly restarts: RestartPolicy
  readonly watchdog: Watchdog
  /** Told how they fare, where full checkpoints are written by this process, in a thread of their own. */
  readonly checkpoints?: Checkpoints | undefined
  /** For the lanes. When they have ended because they were told to, tables are stopped behind them. */
  readonly orders: Orders
  /** Without it everything begins at once. */
  readonly admission?: Admission
}

/**
 * Runs the units, each in a thread of its own, until all have ended; restarts those that fail. Interrupt it to stop
 * cleanly: every unit commits and leaves its group, within `stopWithinMs`. Fails with JobFailed.
 */
export const supervise = (options: Supervised): Effect.Effect<void, JobFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      const crew = { ...options, pool: options.pool ?? (yield* threads(options.units.length)) }
      // A pool of its own: its thread runs at the lowest priority, and no lane may ever get it.
      const { checkpoints } = options
      if (checkpoints !== undefined)
        yield* Effect.forkScoped(whenFree(crew, checkpointing({ ...options, pool: yield* threads(1) }, checkpoints)))
      const run = (units: readonly Unit[]) =>
        Effect.forEach(units, unit => keepRunning(crew, unit), { concurrency: "unbounded", discard: true })
      const lanes = options.units.filter(({ kind }) => kind === "lane")
      const tables = options.units.filter(({ kind }) => kind !== "lane")
      if (tables.length === 0) return yield* run(lanes)
      if (lanes.length === 0) return yield* whenFree(crew, run(tables))
      const behind = Effect.andThen(lanesRun(lanes), run(tables))
      // Lanes end by themselves only where that is asked of them: tables have nothing to wait for then.
      yield* Effect.raceFirst(run(lanes), Effect.andThen(whenFree(crew, behind), Effect.never))
    })
  )

/** Once no other process does it. */
const whenFree = <A, E>({ admission }: Crew, work: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  admission === undefined ? work : Effect.andThen(Deferred.await(admission.rest), work)

interface Crew extends Supervised {
  readonly pool: Piscina
}

/** Runs a unit again and again until it ends by itself. */
const keepRunning = (crew: Crew, unit: Unit) =>
  Effect.gen(function* () {
    let failures = NONE
    while (true) {
      let healthyMs = 0
      const onHealthy = (ms: number): void => {
        healthyMs = ms
      }
      const result = yield* Effect.result(attempt(crew, unit, failures === NONE, onHealthy))
      if (Result.isSuccess(result)) return
      const { cause, stalled = false } = result.failure
      failures = another(healthyMs >= crew.restarts.healthyMs ? NONE : failures, stalled)
      yield* restart(crew, unit, failures, cause)
    }
  }).pipe(Effect.annotateLogs({ unit: unit.name }))

/** Without a healthy run between them; `stalls` are counted in `all`, too. */
interface Failures {
  readonly all: number
  readonly stalls: number
}
const NONE: Failures = { all: 0, stalls: 0 }
const another = ({ all, stalls }: Failures, stalled: boolean): Failures => ({
  all: all + 1,
  stalls: stalls + (stalled ? 1 : 0)
})

/** Waits before the next attempt, or gives up. */
const restart = Effect.fnUntraced(function* (crew: Crew, unit: Unit, { all, stalls }: Failures, cause: unknown) {
  unit.metrics.set("phase", FAILED)
  if (unit.kind === "lane") crew.whereabouts?.forget(unit.index)
  const last = fatalMessage(cause)
  if (last !== undefined) return yield* new JobFailed({ message: `${unit.name}: ${last}` })
  const { maxFailures, maxStalls, maxDelayMs, firstDelayMs } = crew.restarts
  if (all >= maxFailures || stalls >= maxStalls) {
    const message = `${unit.name} failed ${all} times in a row, the last time with: ${reasonOf(cause)}`
    return yield* new JobFailed({ message })
  }
  const delay = Math.min(maxDelayMs, firstDelayMs * 2 ** (all - 1))
  crew.onEvent("restart", unit.name)
  yield* Effect.logWarning(`failed, starts again from what is committed in ${delay} ms: ${reasonOf(cause)}`)
  yield* Effect.sleep(delay)
})

const FAILED = PHASES.indexOf("failed")

/** One run of a unit in a thread. Interrupting it stops the unit cleanly, or by force when that takes too long. */
const attempt = (crew: Crew, unit: Unit, first: boolean, onHealthy: (ms: number) => void) => {
  const task = taskOf(crew, unit, first)
  const joins = task.waits ? Deferred.await(crew.admission!.lanes) : Effect.never
  return runTask(crew, unit.name, task, {
    doomed: watched(crew, unit, onHealthy),
    joins,
    orders: unit.kind === "lane" ? crew.orders : new Orders()
  })
}

/** Never ends, unless the unit must not go on as it is. */
const watched = (crew: Crew, unit: Unit, onHealthy: (ms: number) => void): Effect.Effect<never, TaskFailed> =>
  Effect.mapError(watchdog(unit, crew.watchdog, onHealthy), ({ message }) => {
    const cause = crew.watchdog.action === "stop" ? fatal(message) : new Error(message)
    return new TaskFailed({ cause, stalled: true })
  })

const taskOf = (crew: Crew, unit: Unit, first: boolean): Omit<WorkerTask, "control"> => ({
  kind: unit.kind,
  job: crew.job,
  index: unit.index,
  metrics: unit.metrics.buffer,
  digest: crew.digest,
  ...(first && crew.topics !== undefined ? { topics: crew.topics } : {}),
  ...(unit.kind === "lane" && crew.clocks !== undefined ? { clocks: crew.clocks } : {}),
  ...(unit.kind === "lane" && crew.whereabouts !== undefined ? { whereabouts: crew.whereabouts.shared } : {}),
  ...(unit.kind === "lane" && isClosed(crew.admission) ? { waits: true } : {}),
  ...(unit.nodeId === undefined ? {} : { nodeId: unit.nodeId })
})

const isClosed = (admission: Admission | undefined): boolean =>
  admission !== undefined && !Deferred.isDoneUnsafe(admission.lanes)
