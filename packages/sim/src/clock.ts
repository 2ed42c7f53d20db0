import { type Clock, Duration, Effect } from "effect"
import type { World } from "./world.ts"

/** The simulation's time as fibers of a process see it, which sleep by it. */
export const clockOf = (world: World, owner: object): Clock.Clock => ({
  currentTimeMillisUnsafe: () => world.now,
  currentTimeMillis: Effect.sync(() => world.now),
  currentTimeNanosUnsafe: () => BigInt(Math.round(world.now * 1e6)),
  currentTimeNanos: Effect.sync(() => BigInt(Math.round(world.now * 1e6))),
  monotonicTimeNanosUnsafe: () => BigInt(Math.round(world.now * 1e6)),
  monotonicTimeNanos: Effect.sync(() => BigInt(Math.round(world.now * 1e6))),
  sleep: duration =>
    Effect.callback<void>(resume => {
      const due = world.now + Duration.toMillis(duration)
      const call = world.call(owner, "sleep", () => resume(Effect.void), { due })
      return Effect.sync(() => world.cancel(call))
    })
})
