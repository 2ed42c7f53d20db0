import {
  type CheckpointStore,
  createSavepoint,
  type Halt,
  type JobConfig,
  type Manifest,
  SavepointError
} from "@headrace/engine"
import { Deferred, Effect, Schedule } from "effect"
import type { Plan } from "headrace"
import { breather } from "../../../../workers/breather.ts"
import { savepointBlobs, servicesOf } from "../../../../workers/services.ts"
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

const SETTLES = { schedule: Schedule.spaced("200 millis"), times: 75 }

/** The savepoints of a job that runs in this process: taken beside its lanes, or of its end. */
export class Savepoints {
  /** Someone wants the job to end with a savepoint. */
  readonly ending = Deferred.makeUnsafe<SavepointRequest>()
  /** Answers then, the same to all lanes. */
  readonly halt: Effect.Effect<Halt> = Effect.map(Deferred.await(this.ending), ({ drain }) => ({
    number: this.halted,
    drain
  }))
  private halted = 0
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
      this.halted ||= Date.now()
      yield* Deferred.succeed(this.ending, request)
      return yield* Deferred.await(this.ended)
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
    const breathe = drained ? Effect.void : breather(SHARE)
    return writeSavepoint({ ...this.job, id, drained }, breathe)
  }
}

interface WriteSavepoint extends JobToSave {
  readonly id: string | undefined
  readonly drained: boolean
}

/** Takes a savepoint in this process. What it needs to know of the job is its configuration and plan: it may run or not. */
export const writeSavepoint = (
  { plan, digest, job, store, id, drained }: WriteSavepoint,
  breathe?: Effect.Effect<void>
): Effect.Effect<Manifest, SavepointError> =>
  Effect.suspend(() => {
    const createdAt = new Date().toISOString()
    const savepoint = { id: id ?? idOf(job.app, createdAt), digest, headrace: version, createdAt, drained }
    return createSavepoint(plan, job, savepoint, breathe)
  }).pipe(
    Effect.mapError(error => new SavepointError({ message: error.message })),
    Effect.provide(servicesOf(job)),
    Effect.provide(savepointBlobs(store))
  )

/** `spend-20261125T221207123Z` */
const idOf = (app: string, createdAt: string): string => `${app}-${createdAt.replace(/[-:.]/g, "")}`
