import { type Fault, limited, victimOf } from "./fault.ts"

/** Until the successor has brought a copy of the state up to date. */
const FOLLOWS_WITHIN_MS = 60_000

/**
 * A new version takes the place of a running process. Recovery counts from when that is asked to stop: it is the longest
 * that an event has to wait.
 */
export const replaced: Fault = {
  name: "a new version takes over",
  group: "other",
  where: "kafka",
  inject: async scene => {
    const victim = victimOf(scene)
    const { gone } = await victim.replace(limited(scene.world, FOLLOWS_WITHIN_MS))
    const settle = async () => {
      const code = await gone
      if (code !== 0) scene.world.problems.push(`${victim.name} handed over and ended with ${code}`)
    }
    return { mark: scene.world.mark(), settle }
  }
}
