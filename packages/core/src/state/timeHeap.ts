const NOWHERE = -1

/**
 * Slots by a time, earliest first, and of one time in an order that is told it: a heap in typed columns, four below each, so that
 * a hundred thousand of them stay within the processor's cache. Each slot knows its place, so that one that goes leaves
 * nothing behind.
 */
export class TimeHeap {
  size = 0
  /** By place. */
  private times = new Float64Array(16)
  private slots = new Int32Array(16)
  /** By slot. */
  private places = new Int32Array(16).fill(NOWHERE)
  private readonly isFirst: (a: number, b: number) => boolean

  /** `isFirst`: which of two slots of one time comes first. */
  constructor(isFirst: (a: number, b: number) => boolean) {
    this.isFirst = isFirst
  }

  get byteSize(): number {
    const { times, slots, places } = this
    return times.byteLength + slots.byteLength + places.byteLength
  }

  /** The earliest slot; only while there is one. */
  get first(): number {
    return this.slots[0]!
  }

  /** The earliest time; only while there is one. */
  get firstTime(): number {
    return this.times[0]!
  }

  /** When a slot that stands here is due. */
  timeOf(slot: number): number {
    return this.times[this.places[slot]!]!
  }

  /** Puts a slot in, or where it belongs by another time. */
  put(slot: number, time: number): void {
    this.makeRoom(slot)
    const place = this.places[slot]!
    if (place === NOWHERE) this.rise(this.size++, slot, time)
    else if (time < this.times[place]!) this.rise(place, slot, time)
    else this.sink(place, slot, time)
  }

  remove(slot: number): void {
    const place = this.places[slot]!
    this.places[slot] = NOWHERE
    const last = --this.size
    if (place === last) return
    const [moved, time] = [this.slots[last]!, this.times[last]!]
    if (place > 0 && this.isBefore(moved, time, (place - 1) >> 2)) this.rise(place, moved, time)
    else this.sink(place, moved, time)
  }

  /** Whether a slot of a time comes before what stands at a place. */
  private isBefore(slot: number, time: number, place: number): boolean {
    const other = this.times[place]!
    return time === other ? this.isFirst(slot, this.slots[place]!) : time < other
  }

  private rise(from: number, slot: number, time: number): void {
    let place = from
    while (place > 0) {
      const above = (place - 1) >> 2
      if (!this.isBefore(slot, time, above)) break
      this.set(place, this.slots[above]!, this.times[above]!)
      place = above
    }
    this.set(place, slot, time)
  }

  private sink(from: number, slot: number, time: number): void {
    const { times, slots, places, size } = this
    let place = from
    for (;;) {
      const begin = place * 4 + 1
      if (begin >= size) break
      const end = Math.min(begin + 4, size)
      let below = begin
      let least = times[begin]!
      for (let i = begin + 1; i < end; i++) {
        const other = times[i]!
        if (other > least || (other === least && !this.isFirst(slots[i]!, slots[below]!))) continue
        below = i
        least = other
      }
      if (time < least || (time === least && this.isFirst(slot, slots[below]!))) break
      const moved = slots[below]!
      times[place] = least
      slots[place] = moved
      places[moved] = place
      place = below
    }
    this.set(place, slot, time)
  }

  private set(place: number, slot: number, time: number): void {
    this.times[place] = time
    this.slots[place] = slot
    this.places[slot] = place
  }

  private makeRoom(slot: number): void {
    if (this.size === this.times.length) {
      this.times = grown(this.times, new Float64Array(this.size * 2))
      this.slots = grown(this.slots, new Int32Array(this.size * 2))
    }
    const { length } = this.places
    if (slot < length) return
    const size = Math.max(slot + 1, length * 2)
    this.places = grown(this.places, new Int32Array(size).fill(NOWHERE))
  }
}

const grown = <A extends Float64Array | Int32Array>(from: A, to: A): A => {
  to.set(from)
  return to
}
