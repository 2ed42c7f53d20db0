import type { Fault } from "./fault.ts"
import { leave } from "./kill.ts"

const ROUNDS = 3
const EVERY_MS = 5000

/** Another instance comes and goes every 5 s. */
export const joinAndLeave: Fault = {
  name: "join and leave every 5 s",
  group: "other",
  where: "kafka",
  inject: async ({ world }) => {
    for (let round = 1; round < ROUNDS; round++) {
      world.guest.start()
      await world.pause(EVERY_MS)
      await world.guest.stop()
      await world.pause(EVERY_MS)
    }
    world.guest.start()
    await world.pause(EVERY_MS)
    return { mark: world.mark(), settle: () => leave(world) }
  }
}
