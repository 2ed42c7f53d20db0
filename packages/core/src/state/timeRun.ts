/** As many as there are at first; a power of two, as is any later room. */
const FEWEST = 16

/**
 * Slots in the order of their times, in a ring of typed columns: they are put in behind the last one and go from the front. One that
 * goes elsewhere from between leaves a hole, which whoever keeps the slots' places can tell. Positions are 32 bits that wrap around.
 */
export class TimeRun {
  /** Those that are no holes. */
  live = 0
  head = 0
  tail = 0
  /** The time of the last one, hole or not. */
  lastTime = Number.NEGATIVE_INFINITY
  private times = new Float64Array(FEWEST)
  private slots = new Int32Array(FEWEST)
  private mask = FEWEST - 1

  get byteSize(): number {
    return this.times.byteLength + this.slots.byteLength
  }

  get isFull(): boolean {
    return ((this.tail - this.head) | 0) > this.mask
  }

  timeAt(position: number): number {
    return this.times[position & this.mask]!
  }

  slotAt(position: number): number {
    return this.slots[position & this.mask]!
  }

  /** Only while it is not full. Returns its position. */
  append(slot: number, time: number): number {
    const position = this.tail
    this.times[position & this.mask] = time
    this.slots[position & this.mask] = slot
    this.tail = (position + 1) | 0
    this.lastTime = time
    this.live++
    return position
  }

  /** Nothing but holes is left. */
  clear(): void {
    this.head = this.tail
    this.lastTime = Number.NEGATIVE_INFINITY
  }

  /** Half of its room is free then. `isLive` tells holes, `moved` hears of new positions. */
  tidy(isLive: (slot: number, position: number) => boolean, moved: (slot: number, position: number) => void): void {
    const { times, slots, mask, head, tail } = this
    let size = FEWEST
    while (size < this.live * 2) size *= 2
    this.times = new Float64Array(size)
    this.slots = new Int32Array(size)
    this.mask = size - 1
    let to = 0
    for (let from = head; from !== tail; from = (from + 1) | 0) {
      const slot = slots[from & mask]!
      if (!isLive(slot, from)) continue
      this.times[to] = times[from & mask]!
      this.slots[to] = slot
      moved(slot, to++)
    }
    this.head = 0
    this.tail = to
  }
}
