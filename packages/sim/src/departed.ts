import { appPrefix, type JobConfig, LogError } from "@headrace/engine"
import { Effect } from "effect"
import { Departed } from "./engine.ts"
import { adminOf } from "./store.ts"
import { APP, type World } from "./world.ts"

/** What ends what dead lanes left open, for the lane of this name. */
export const departedOf = (world: World, owner: object, job: JobConfig, self: string): Departed => {
  const admin = adminOf(world, owner)
  return new Departed({
    self,
    open: admin.transactions(appPrefix(job)),
    members: Effect.map(admin.members(APP), members => members?.map(({ name }) => name)),
    abort: id => abort(world, owner, id)
  })
}

/** As a new producer of this id: done when what was open is marked. What fails may have been done. */
const abort = (world: World, owner: object, id: string): Effect.Effect<void, LogError> => {
  const fence = () => {
    if (world.sabotage === "openNotAborted") return
    world.inject("dead lane's transaction ended")
    world.log.fence(id)
  }
  const fenced = world.remote(owner, `end ${id}`, () => {
    const fails = world.random.chance(world.faults.fail)
    if (!fails || world.random.chance(0.5)) fence()
    return fails ? Effect.fail(new LogError("Retry", `simulated failure of ending ${id}`)) : Effect.void
  })
  const ended = world.remote(owner, `${id} ended`, () => Effect.void, { ready: () => !world.log.busy(id) })
  return Effect.andThen(fenced, ended)
}
