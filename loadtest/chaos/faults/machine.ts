import type { World } from "../world.ts"
import { between, type Fault, victimOf } from "./fault.ts"

/** Checkpoints cannot be written; the changelog goes on without them. */
export const diskFull: Fault = {
  name: "disk full",
  group: "other",
  where: "kafka",
  inject: async ({ world }) => {
    const { disk } = world.options
    const before = failed(world)
    try {
      await disk.fill()
      // Longer than from one checkpoint to the next.
      await world.pause(12_000)
    } finally {
      disk.free()
    }
    if (failed(world) === before) throw new Error("no checkpoint was tried while the disk was full")
    return { mark: world.mark() }
  }
}

/** How often somebody said that a checkpoint could not be written. */
const failed = ({ instances }: World): number =>
  instances.reduce((sum, { log }) => sum + [...log.matchAll(/Cannot write \S+\.checkpoint/g)].length, 0)

const STEPS_MS = [-3_600_000, -10_000, 10_000, 3_600_000] as const

/** The wall clock of one process jumps, and some seconds later back. */
export const clockStepped: Fault = {
  name: "clock stepped",
  group: "other",
  where: "kafka",
  inject: async scene => {
    const { world, random } = scene
    const victim = victimOf(scene)
    const forMs = between(random, 3000, 6000)
    world.options.clocks.step(victim.name, STEPS_MS[random.below(STEPS_MS.length)]!)
    const stepBack = async () => {
      await world.pause(forMs)
      world.options.clocks.step(victim.name, 0)
      await world.settled(`the clock of ${victim.name} was stepped back`)
    }
    return { mark: world.mark(), settle: stepBack }
  }
}
