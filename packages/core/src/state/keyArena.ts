import { type Key, readKey } from "../key.ts"
import { StateError } from "./error.ts"

/** Lengths share 32 bits with kinds; half of what is left leaves room to double. */
const MOST_BYTES = 0x1fffffff

const FEWEST = 1 << 16

/**
 * Keys as bytes, back to back, by slots. What a key that has gone leaves is given again: its slot at once, and its bytes with it
 * where the next key is no longer, as most are.
 */
export class KeyArena {
  /** Keys that are here. */
  count = 0
  /** Slots that were ever given: 0 … slots − 1. */
  slots = 0
  /** Changes identity when a key is added. */
  bytes = new Uint8Array(1024)
  /**
   * Two numbers a slot, side by side: where its key starts in `bytes`, and its length · 4 + its kind. The kind of a slot that is free
   * is 0, and its length that of the key that was there: as many bytes are still its own.
   */
  private places = new Int32Array(32)
  private free: number[] = []
  private used = 0
  private live = 0

  get byteSize(): number {
    return this.bytes.byteLength + this.places.byteLength + this.free.length * 4
  }

  /** The key of a slot is `bytes[startOf(slot), endOf(slot))`. */
  startOf(slot: number): number {
    return this.places[slot * 2]!
  }

  endOf(slot: number): number {
    return this.places[slot * 2]! + (this.places[slot * 2 + 1]! >>> 2)
  }

  /** As in Keyed; 0 of a slot that is free. */
  kindOf(slot: number): number {
    return this.places[slot * 2 + 1]! & 3
  }

  /** Copies a key, and returns its slot. */
  add(kind: number, source: Uint8Array, start: number, end: number): number {
    const length = end - start
    const slot = this.free.pop() ?? this.fresh()
    if (this.places[slot * 2 + 1]! >>> 2 < length) this.move(slot, length)
    const { bytes, places } = this
    const to = places[slot * 2]!
    for (let i = 0; i < length; i++) bytes[to + i] = source[start + i]!
    places[slot * 2 + 1] = length * 4 + kind
    this.live += length
    this.count++
    return slot
  }

  /** Its bytes stay as they are until the next key is added. */
  remove(slot: number): void {
    const { places } = this
    const length = places[slot * 2 + 1]! >>> 2
    this.live -= length
    places[slot * 2 + 1] = length * 4
    this.free.push(slot)
    this.count--
  }

  holds(slot: number, kind: number, source: Uint8Array, start: number, end: number): boolean {
    const { bytes, places } = this
    const length = end - start
    if (places[slot * 2 + 1] !== length * 4 + kind) return false
    const from = places[slot * 2]!
    for (let i = 0; i < length; i++) if (source[start + i] !== bytes[from + i]) return false
    return true
  }

  keyOf(slot: number): Key {
    return readKey(this.bytes, this.startOf(slot), this.endOf(slot), this.kindOf(slot))
  }

  private fresh(): number {
    if (this.slots * 2 === this.places.length) {
      const places = new Int32Array(this.slots * 4)
      places.set(this.places)
      this.places = places
    }
    return this.slots++
  }

  /** To the end, where there is room for its next key. */
  private move(slot: number, length: number): void {
    if (this.used + length > this.bytes.length) this.makeRoom(length)
    this.places[slot * 2] = this.used
    this.used += length
  }

  /** Leaves out what has gone. Half of the bytes, or more, are free then: the cost for each key that is added is constant. */
  private makeRoom(length: number): void {
    const size = Math.max(FEWEST, (this.live + length) * 2)
    if (this.live + length > MOST_BYTES)
      throw new StateError("TooLarge", `The keys of one state exceed ${MOST_BYTES} bytes`)
    const bytes = new Uint8Array(size)
    let to = 0
    for (let slot = 0; slot < this.slots; slot++) {
      const [start, end] = [this.startOf(slot), this.endOf(slot)]
      if (this.kindOf(slot) === 0) {
        this.places[slot * 2 + 1] = 0
        continue
      }
      this.places[slot * 2] = to
      for (let i = start; i < end; i++) bytes[to++] = this.bytes[i]!
    }
    this.bytes = bytes
    this.used = to
  }
}
