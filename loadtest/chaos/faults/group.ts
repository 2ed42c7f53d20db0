import type { Fault } from "./fault.ts"
import { leave } from "./kill.ts"

const ROUNDS = 3
const EVERY_MS = 5000
/** By then the group has noticed that a session is over. */
const NOTICED_MS = 1000

/**
 * Another instance comes and goes every 5 s. A static member that goes is gone when its session is over: the guest's is shorter than
 * that; where the broker has the say on it (KIP-848) it stays away for longer.
 */
export const joinAndLeave: Fault = {
  name: "join and leave every 5 s",
  group: "other",
  where: "kafka",
  inject: async ({ world }) => {
    for (let round = 1; round < ROUNDS; round++) {
      world.guest.start()
      await world.pause(EVERY_MS)
      await world.guest.stop()
      await world.pause(Math.max(EVERY_MS, world.guestSessionMs + NOTICED_MS))
    }
    world.guest.start()
    await world.pause(EVERY_MS)
    return { mark: world.mark(), settle: () => leave(world) }
  }
}
