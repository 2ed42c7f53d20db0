import { type JobConfig, sourceTopics } from "@headrace/engine"
import { Deferred, Effect, Schema } from "effect"
import { type Plan, stateDigest } from "headrace"
import type { Status } from "./status.ts"

/** What two processes must have in common for one of them to go on in the other one's place. */
export const Identity = Schema.Struct({
  app: Schema.String,
  instance: Schema.String,
  lanes: Schema.Int,
  sources: Schema.Array(Schema.String),
  /** Of what the pipeline keeps as state. */
  state: Schema.String
})
export type Identity = typeof Identity.Type

export const identityOf = ({ app, instance, lanes }: JobConfig, plan: Plan): Identity => ({
  app,
  instance,
  lanes,
  sources: [...sourceTopics(plan)].sort(),
  state: stateDigest(plan)
})

/** Why `theirs` cannot go on in the place of `mine`; undefined if it can. */
export const obstacle = (mine: Identity, theirs: Identity): string | undefined => {
  const differing = (["app", "instance", "lanes"] as const).find(name => mine[name] !== theirs[name])
  if (differing !== undefined)
    return `it runs with --${differing} ${mine[differing]}, not ${theirs[differing]}: lanes are told by these names; give the same`
  if (mine.sources.join() !== theirs.sources.join())
    return `it reads ${mine.sources.join(", ")}, not ${theirs.sources.join(", ")}: start the changed pipeline from a savepoint`
  if (mine.state !== theirs.state)
    return "its pipeline keeps other state (operators, their ids, aggregates or state fields differ): start the changed pipeline from a savepoint"
  return undefined
}

const POLL = "2 millis"

/** Lets another process go on in the place of this one. */
export class Handover {
  readonly identity: Identity
  private readonly asked = Deferred.makeUnsafe<void>()
  private readonly ended = Deferred.makeUnsafe<void>()
  private readonly status: Status

  constructor(identity: Identity, status: Status) {
    this.identity = identity
    this.status = status
  }

  /** Ends when another process wants to go on: then everything here stops cleanly. */
  get requested(): Effect.Effect<void> {
    return Deferred.await(this.asked)
  }

  /** Everything here has stopped. */
  readonly finished: Effect.Effect<void> = Effect.suspend(() => Effect.asVoid(Deferred.succeed(this.ended, undefined)))

  /** Asks for it, and ends when the lanes have committed and left; tables may take longer. */
  get request(): Effect.Effect<void> {
    return Effect.andThen(
      Deferred.succeed(this.asked, undefined),
      Effect.raceFirst(Deferred.await(this.ended), this.lanesStopped)
    )
  }

  private get lanesStopped(): Effect.Effect<void> {
    const lanes = this.status.units.filter(({ kind }) => kind === "lane")
    const stopped = Effect.sync(() => lanes.every(lane => this.status.phase(lane) === "stopped"))
    return Effect.repeat(Effect.delay(stopped, POLL), { until: done => done }).pipe(Effect.asVoid)
  }
}
