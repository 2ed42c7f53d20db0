import { showSchema, showStateChange, stateChanges } from "@headrace/core"
import { inputTopics, type JobConfig, type KeptState, stateOf } from "@headrace/engine"
import { Deferred, Effect, Schema } from "effect"
import type { Plan } from "headrace"
import type { Status } from "./status.ts"

/** What two processes must have in common for one of them to go on in the other one's place. */
export const Identity = Schema.Struct({
  app: Schema.String,
  instance: Schema.String,
  lanes: Schema.Int,
  sources: Schema.Array(Schema.String),
  /** A `StateSchema` of core for each operator that keeps something. */
  state: Schema.Array(Schema.Struct({ topic: Schema.String, id: Schema.String, schema: Schema.Any }))
})
export type Identity = typeof Identity.Type

export const identityOf = ({ app, instance, lanes }: JobConfig, plan: Plan): Identity => ({
  app,
  instance,
  lanes,
  sources: [...inputTopics(plan, app)].sort(),
  state: stateOf(plan, app)
})

/** Why a successor cannot go on in the place of who runs; undefined if it can. */
export const obstacle = (running: Identity, successor: Identity): string | undefined => {
  const differing = (["app", "instance", "lanes"] as const).find(name => running[name] !== successor[name])
  if (differing !== undefined)
    return `it runs with --${differing} ${running[differing]}, not ${successor[differing]}: lanes are told by these names; give the same`
  if (running.sources.join() !== successor.sources.join())
    return `it reads ${running.sources.join(", ")}, not ${successor.sources.join(", ")}: start the changed pipeline from a savepoint`
  const changes = changesOf(running.state, successor.state)
  if (changes.length === 0) return undefined
  return [
    "what its pipeline keeps as state is not what the changed one does:",
    ...changes,
    "Stop it with a savepoint (headrace savepoint create --url … --stop), and start the changed pipeline from that (headrace run --from-savepoint, with --force or as another --app), which migrates what can be"
  ].join("\n")
}

/** Operators are told by their ids: what each of them kept and is to keep, where that is not the same. */
const changesOf = (was: readonly KeptState[], is: readonly KeptState[]): readonly string[] => {
  const ids = new Set([...was, ...is].map(({ id }) => id))
  return [...ids].flatMap(id => {
    const [before, now] = [was, is].map(all => all.find(one => one.id === id))
    if (before === undefined || now === undefined || before.topic !== now.topic)
      return [showStateChange(id, { what: "the step", was: shown(before), is: shown(now) })]
    return stateChanges(before.schema, now.schema).map(change => showStateChange(id, change))
  })
}

const shown = (state: KeptState | undefined): string =>
  state === undefined ? "missing" : `${showSchema(state.schema)}, of ${state.topic}`

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
