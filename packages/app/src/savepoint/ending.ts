import {
  type CheckpointStore,
  createSavepoint,
  type JobConfig,
  type Manifest,
  type Rests,
  SavepointError
} from "@headrace/engine"
import { Deferred, Effect, Schedule, Semaphore } from "effect"
import type { Plan } from "headrace"
import { breather } from "../../../../workers/breather.ts"
import { savepointBlobs, servicesOf } from "../../../../workers/services.ts"
import { Orders } from "../orders.ts"
import type { Status } from "../status.ts"
import { version } from "../version.ts"

/** What is asked of a running job. */
export interface SavepointRequest {
  /** Default: the app's name and the time. */
  readonly id: string | undefined
  /** The job ends, and the savepoint is of its end. */
  readonly stop: boolean
  /** Before that, event time comes to its end: all windows and timers fire. */
  readonly drain: boolean
}

/** What a savepoint is taken of, and where it goes. */
export interface JobToSave {
  readonly plan: Plan
  readonly digest: string
  readonly job: JobConfig
  /** Of savepoints. */
  readonly store: CheckpointStore
}

/** Part of a processor that a savepoint beside running lanes takes. */
const SHARE = 0.25

/** Events wait for as long: what takes longer is only for a job that ends. */
const RESTS_WITHIN = "10 seconds"
const restless = Effect.fail(
  new SavepointError({
    message:
      "What was on its way between the stages was not worked off within 10 s, so the job went on without a savepoint: let it end with one (--stop), or ask when less is on its way"
  })
)

const SETTLES = { schedule: Schedule.spaced("200 millis"), times: 75 }

/** The savepoints of a job that runs in this process: taken beside its lanes, or of its end. */
export class Savepoints {
  /** Someone wants the job to end with a savepoint. */
  readonly ending = Deferred.makeUnsafe<SavepointRequest>()
  readonly orders = new Orders()
  private readonly resting = Semaphore.makeUnsafe(1)
  private halts = 0
  private readonly ended = Deferred.makeUnsafe<Manifest, SavepointError>()
  private readonly job: JobToSave
  private readonly status: Status

  constructor(job: JobToSave, status: Status) {
    this.job = job
    this.status = status
  }

  /** Every unit runs. */
  get ready(): boolean {
    return this.status.reasons().length === 0
  }

  /** Called for each request; with `stop` it answers when the lanes have ended and the savepoint is written. */
  take(request: SavepointRequest): Effect.Effect<Manifest, SavepointError> {
    return Effect.gen({ self: this }, function* () {
      if (!request.stop) return yield* this.write(request, false)
      yield* Effect.retry(this.fit, SETTLES)
      yield* Deferred.succeed(this.ending, request)
      return yield* Deferred.await(this.ended)
    })
  }

  /** Has the lanes come to rest, and end, once that is asked for. */
  readonly end: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(Deferred.await(this.ending), ({ drain }) =>
      this.resting.withPermit(
        Effect.andThen(
          this.halt(drain),
          Effect.sync(() => this.orders.give({ type: "stop" }))
        )
      )
    )
  )

  /** Has the job rest for a moment, and go on. */
  readonly rests: Rests = look =>
    this.resting.withPermit(
      Effect.retry(this.fit, SETTLES).pipe(
        Effect.andThen(Effect.timeoutOrElse(this.halt(false), { duration: RESTS_WITHIN, orElse: () => restless })),
        Effect.andThen(look),
        Effect.ensuring(Effect.sync(() => this.orders.give({ type: "resume" })))
      )
    )

  private halt(drain: boolean): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      this.halts = Math.max(this.halts + 1, Date.now())
      this.orders.give({ type: "halt", halt: { number: this.halts, drain } })
      while (!this.status.whereabouts?.all(this.halts)) yield* Effect.sleep("10 millis")
    })
  }

  /** Whether all of the job runs here: not for a moment while partitions move between lanes. */
  private readonly fit = Effect.suspend(() => {
    const why = this.status.unfit()
    return why === undefined ? Effect.void : Effect.fail(new SavepointError({ message: why }))
  })

  /** Called when all lanes have ended because of `ending`. */
  finish(request: SavepointRequest): Effect.Effect<Manifest, SavepointError> {
    return Effect.onExit(this.write(request, request.drain), exit => Deferred.done(this.ended, exit))
  }

  private write({ id }: SavepointRequest, drained: boolean): Effect.Effect<Manifest, SavepointError> {
    const breathe = drained ? Effect.void : breather(() => SHARE)
    const ended = Deferred.isDoneUnsafe(this.ending)
    return writeSavepoint({ ...this.job, id, drained }, breathe, ended ? undefined : this.rests)
  }
}

interface WriteSavepoint extends JobToSave {
  readonly id: string | undefined
  readonly drained: boolean
}

/** Takes a savepoint in this process. What it needs to know of the job is its configuration and plan: it may run or not. */
export const writeSavepoint = (
  { plan, digest, job, store, id, drained }: WriteSavepoint,
  breathe?: Effect.Effect<void>,
  rests?: Rests
): Effect.Effect<Manifest, SavepointError> =>
  Effect.suspend(() => {
    const createdAt = new Date().toISOString()
    const savepoint = { id: id ?? idOf(job.app, createdAt), digest, headrace: version, createdAt, drained }
    return createSavepoint(plan, job, savepoint, breathe, rests)
  }).pipe(
    Effect.mapError(error => new SavepointError({ message: error.message })),
    Effect.provide(servicesOf(job)),
    Effect.provide(savepointBlobs(store))
  )

/** `spend-20261125T221207123Z` */
const idOf = (app: string, createdAt: string): string => `${app}-${createdAt.replace(/[-:.]/g, "")}`
