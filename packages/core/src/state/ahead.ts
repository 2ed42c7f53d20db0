import type { KeyArena } from "./keyArena.ts"
import type { Row } from "./rows.ts"
import type { TimeQueue } from "./timeQueue.ts"

/** Of how many rows something is read at a time. */
export const AHEAD = 16

/**
 * The rows of a hundred thousand keys lie anywhere in memory, and in none of the processor's caches. It brings many of them at the
 * same time where nothing but reading stands between them: so a little is read of those that are looked at next, before the first
 * of them is.
 */
export class Ahead {
  private readonly slots = new Int32Array(AHEAD)
  private count = 0
  /** What was read, which is of no matter: nobody would read what is not used. */
  protected sum = 0

  /** At most AHEAD slots until they are brought; -1: none. */
  add(slot: number): void {
    if (slot >= 0) this.slots[this.count++] = slot
  }

  /** Row by row in three steps, for each has to be there before the next one is known. */
  bring(rows: readonly (Row | undefined)[], keys: KeyArena, queue: TimeQueue): void {
    const { slots, count } = this
    let sum = 0
    for (let i = 0; i < count; i++) {
      const slot = slots[i]!
      sum += (rows[slot]?.epoch ?? 0) + keys.startOf(slot) + queue.read(slot)
    }
    for (let i = 0; i < count; i++) sum += (rows[slots[i]!]?.read() ?? 0) + keys.bytes[keys.startOf(slots[i]!)]!
    this.sum += sum
    this.count = 0
  }
}
