import { readKey } from "../key.ts"
import type { KeyBytes } from "../keyPlace.ts"
import { END_OF_TIME, NO_WATERMARK } from "../operator.ts"
import type { Cells } from "../state/cells.ts"
import { firedKeys } from "./firedKeys.ts"
import { above, type Floors, floorOf } from "./floors.ts"

/**
 * How far a window had fired in the partitions that this one was made of, for the keys of each: of whole partitions, and of keys
 * that were ahead of their own. It says something until all windows have come that far.
 */
export class FiredFloors {
  /** Whether it says something still. Asked for each record. */
  some = false
  /** Keys, by the last ms of what had fired for them. */
  readonly ahead: Cells<undefined>
  private floors: readonly Floors[] = []

  constructor(id: string) {
    this.ahead = firedKeys(id)
  }

  /** Of whole partitions. */
  get all(): readonly Floors[] {
    return this.floors
  }

  /** The last ms of the latest window that had fired for a key; -Infinity: none had. */
  of(bytes: Uint8Array, key: KeyBytes): number {
    const own = this.ahead.find(readKey(bytes, key.start, key.end, key.kind), undefined)
    return Math.max(floorOf(this.floors, bytes, key), own?.due ?? NO_WATERMARK)
  }

  /** All windows have fired up to here: what is not above it says nothing any more. */
  forget(fired: number): void {
    while (this.ahead.isDue(fired)) this.ahead.remove(this.ahead.first()!)
    this.recall(above(this.floors, fired))
  }

  /** As they stand in the state. */
  recall(floors: readonly Floors[]): void {
    this.floors = floors
    this.some = floors.length > 0 || this.ahead.isDue(END_OF_TIME)
  }
}
