import { MemorySpill, SpillError } from "@headrace/core"
import type { World } from "./world.ts"

/** How often a disk for spilled state is full, of the times at which it could be. */
const FULL = 1 / 6

/** Disk for state that is too much for memory. It may be full. */
export class SpillDisk extends MemorySpill {
  private readonly world: World

  constructor(world: World) {
    super()
    this.world = world
  }

  override put(key: Uint8Array, value: Uint8Array): void {
    if (this.world.random.chance(this.world.faults.disk * FULL)) {
      this.world.inject("spill disk full")
      throw new SpillError("simulated disk for spilled state is full")
    }
    super.put(key, value)
  }
}
