import {
  type CheckpointStore,
  createSavepoint,
  type JobConfig,
  type Manifest,
  type Rests,
  SavepointError
} from "@headrace/engine"
import { Deferred, Effect, Result, Schedule, Semaphore } from "effect"
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
const RESTLESS =
  "What was on its way between the stages was not worked off within 10 s, so the job went on without a savepoint: let it end with one (--stop), or ask when less is on its way"

const LOOK_EVERY = "200 millis"
/** For 15 s partitions may be on their way between lanes. */
const LOOKS = 75
const SETTLES = { schedule: Schedule.spaced(LOOK_EVERY), times: LOOKS }

/** That the job is to end. Of no more use once it could not: whoever asks then asks anew. */
class Ending {
  readonly asked = Deferred.makeUnsafe<SavepointRequest>()
  readonly answer = Deferred.makeUnsafe<Manifest, SavepointError>()
}

/** The savepoints of a job that runs in this process: taken beside its lanes, or of its end. */
export class Savepoints {
  readonly orders = new Orders()
  private readonly resting = Semaphore.makeUnsafe(1)
  /** One is written at a time: a second one would take the first one's files for left ones. */
  private readonly writing = Semaphore.makeUnsafe(1)
  private halts = 0
  private ending = new Ending()
  /** Its lanes have come to rest for good. */
  private ended = false
  private readonly job: JobToSave
  private readonly status: Status
  private readonly writer: typeof writeSavepoint

  constructor(job: JobToSave, status: Status, writer: typeof writeSavepoint = writeSavepoint) {
    this.job = job
    this.status = status
    this.writer = writer
  }

  /** Every unit runs. */
  get ready(): boolean {
    return this.status.reasons().length === 0
  }

  /**
   * Called for each request; with `stop` it answers when the lanes have ended and the savepoint is written, or says why the job
   * could not end, and goes on.
   */
  take(request: SavepointRequest): Effect.Effect<Manifest, SavepointError> {
    return Effect.gen({ self: this }, function* () {
      if (!request.stop) return yield* this.write(request, false, this.rests)
      yield* Effect.retry(this.fit, SETTLES)
      const { asked, answer } = this.ending
      yield* Deferred.succeed(asked, request)
      return yield* Deferred.await(answer)
    })
  }

  /** Has the lanes come to rest, and end, once that is asked for. Where they do not they go on, and it may be asked for again. */
  readonly end: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    while (true) {
      const { asked, answer } = this.ending
      const { drain } = yield* Deferred.await(asked)
      const halted = yield* this.resting.withPermit(Effect.result(Effect.tap(this.halt(drain), () => this.rested)))
      if (Result.isSuccess(halted)) return this.orders.give({ type: "stop" })
      this.ending = new Ending()
      this.orders.give({ type: "resume" })
      yield* Deferred.fail(answer, halted.failure)
    }
  })

  private readonly rested = Effect.sync(() => {
    this.ended = true
  })

  /** Has the job rest for a moment, and go on; one that is being ended rests for good, or goes on before it is looked at. */
  readonly rests: Rests = look =>
    this.resting.withPermit(Effect.suspend(() => (this.ended ? look : this.restWhile(look))))

  private restWhile<A, E, R>(look: Effect.Effect<A, E, R>): Effect.Effect<A, E | SavepointError, R> {
    return Effect.retry(this.fit, SETTLES).pipe(
      Effect.andThen(Effect.timeoutOrElse(this.halt(false), { duration: RESTS_WITHIN, orElse: () => this.restless })),
      Effect.andThen(look),
      Effect.ensuring(Effect.sync(() => this.orders.give({ type: "resume" })))
    )
  }

  /** Ends when each partition has come to rest, or with why that does not come: see `lack`. */
  private halt(drain: boolean): Effect.Effect<void, SavepointError> {
    return Effect.gen({ self: this }, function* () {
      this.halts = Math.max(this.halts + 1, Date.now())
      this.orders.give({ type: "halt", halt: { number: this.halts, drain } })
      yield* Effect.raceFirst(
        this.halted,
        Effect.flatMap(this.lack, why => Effect.fail(unended(why, drain)))
      )
    })
  }

  private readonly halted = Effect.gen({ self: this }, function* () {
    while (!this.status.whereabouts?.all(this.halts)) yield* Effect.sleep("10 millis")
  })

  /** What this process lacks for longer than partitions move between lanes: others who have it do not come to rest with it. */
  private readonly lack = Effect.gen({ self: this }, function* () {
    for (let looks = 0; ; yield* Effect.sleep(LOOK_EVERY)) {
      const why = this.status.lacks()
      looks = why === undefined ? 0 : looks + 1
      if (why !== undefined && looks > LOOKS) return why
    }
  })

  private readonly restless = Effect.suspend(() =>
    Effect.fail(new SavepointError({ message: this.status.lacks() ?? RESTLESS }))
  )

  /** Whether all of the job runs here: not for a moment while partitions move between lanes. */
  private readonly fit = Effect.suspend(() => {
    const why = this.status.unfit()
    return why === undefined ? Effect.void : Effect.fail(new SavepointError({ message: why }))
  })

  /** Called when all lanes have ended: with the savepoint of that, if it was asked for. */
  get finish(): Effect.Effect<Manifest | undefined, SavepointError> {
    const { asked, answer } = this.ending
    if (!Deferred.isDoneUnsafe(asked)) return Effect.succeed(undefined)
    const written = Effect.flatMap(Deferred.await(asked), request => this.write(request, request.drain, undefined))
    return Effect.onExit(written, exit => Deferred.done(answer, exit))
  }

  /** `rests`: for one that is taken of a job that runs. */
  private write(
    { id }: SavepointRequest,
    drained: boolean,
    rests: Rests | undefined
  ): Effect.Effect<Manifest, SavepointError> {
    const breathe = drained ? Effect.void : breather(() => SHARE)
    return this.writing.withPermit(this.writer({ ...this.job, id, drained }, breathe, rests))
  }
}

/** Why the job has not come to its end, and what that means for it. */
const unended = (why: string, drain: boolean): SavepointError => {
  const drained = drain ? ", but a partition that was drained by then stops at its next record, for good" : ""
  const message = `no savepoint was taken, since the job did not come to rest: ${why}, and try again. It goes on from what is committed${drained}`
  return new SavepointError({ message })
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
