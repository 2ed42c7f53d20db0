import type { ValueCodec } from "../codec.ts"
import type { Key } from "../key.ts"
import { type Cell, Cells } from "./cells.ts"

/** A timer is a key and a time; there is nothing else to write. */
const nothing: ValueCodec<undefined> = { write: () => {}, read: () => undefined }

/**
 * Timers of one kind of time, one entry each, at most one for a key and a time. They are due in time order, and at one time in
 * the order in which they were registered. One whose time has passed already is due at once.
 */
export class Timers {
  readonly cells: Cells<undefined>

  constructor(id: string, handle: number) {
    this.cells = new Cells({ id, handle, codec: nothing, timed: true })
  }

  /** `now`: how far time has come: it is due then, though its time was before. */
  register(key: Key, time: number, now = Number.NEGATIVE_INFINITY): void {
    if (!Number.isFinite(time)) throw new RangeError(`A timer's time must be in ms, not ${time}`)
    if (this.cells.find(key, time + 0) === undefined) this.cells.put(key, time + 0, undefined, Math.max(time, now))
  }

  delete(key: Key, time: number): void {
    const timer = this.cells.find(key, time + 0)
    if (timer !== undefined) this.cells.remove(timer)
  }

  /** The first one of a key that is due. */
  dueOf(key: Key, watermark: number): Cell<undefined> | undefined {
    let first: Cell<undefined> | undefined
    for (const timer of this.cells.all(key)) {
      if (timer.due > watermark) continue
      if (first === undefined || timer.due < first.due || (timer.due === first.due && timer.order < first.order))
        first = timer
    }
    return first
  }
}
