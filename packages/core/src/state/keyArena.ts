import { type Key, readKey } from "../key.ts"
import { StateError } from "./error.ts"

/** Starts of keys are unsigned 32-bit; half of that leaves room to double. */
const MOST_BYTES = 0x7fffffff

const FEWEST = 1 << 16

/** Keys as bytes, back to back, by slots. What a key that has gone leaves is given again: its slot at once, its bytes in time. */
export class KeyArena {
  /** Keys that are here. */
  count = 0
  /** Slots that were ever given: 0 … slots − 1. */
  slots = 0
  /** Changes identity when a key is added. That of a slot is `bytes[starts[slot], starts[slot] + lengths[slot])`. */
  bytes = new Uint8Array(1024)
  starts = new Uint32Array(16)
  lengths = new Uint32Array(16)
  /** As in Keyed; 0 of a slot that is free. */
  kinds = new Uint8Array(16)
  private free: number[] = []
  private used = 0
  private live = 0

  get byteSize(): number {
    const { bytes, starts, lengths, kinds, free } = this
    return bytes.byteLength + starts.byteLength + lengths.byteLength + kinds.byteLength + free.length * 4
  }

  /** Copies a key, and returns its slot. */
  add(kind: number, source: Uint8Array, start: number, end: number): number {
    const length = end - start
    if (this.used + length > this.bytes.length) this.makeRoom(length)
    const slot = this.free.pop() ?? this.fresh()
    const { bytes } = this
    for (let i = start, to = this.used; i < end; i++) bytes[to++] = source[i]!
    this.kinds[slot] = kind
    this.starts[slot] = this.used
    this.lengths[slot] = length
    this.used += length
    this.live += length
    this.count++
    return slot
  }

  /** Its bytes stay as they are until the next key is added. */
  remove(slot: number): void {
    this.kinds[slot] = 0
    this.live -= this.lengths[slot]!
    this.free.push(slot)
    this.count--
  }

  holds(slot: number, kind: number, source: Uint8Array, start: number, end: number): boolean {
    if (this.lengths[slot] !== end - start || this.kinds[slot] !== kind) return false
    const { bytes } = this
    for (let i = start, j = this.starts[slot]!; i < end; i++, j++) if (source[i] !== bytes[j]) return false
    return true
  }

  keyOf(slot: number): Key {
    const start = this.starts[slot]!
    return readKey(this.bytes, start, start + this.lengths[slot]!, this.kinds[slot]!)
  }

  private fresh(): number {
    if (this.slots === this.starts.length) {
      const size = this.slots * 2
      const [starts, lengths, kinds] = [new Uint32Array(size), new Uint32Array(size), new Uint8Array(size)]
      starts.set(this.starts)
      lengths.set(this.lengths)
      kinds.set(this.kinds)
      this.starts = starts
      this.lengths = lengths
      this.kinds = kinds
    }
    return this.slots++
  }

  /** Leaves out what has gone. Half of the bytes, or more, are free then: the cost for each key that is added is constant. */
  private makeRoom(length: number): void {
    const size = Math.max(FEWEST, (this.live + length) * 2)
    if (size > MOST_BYTES) throw new StateError("TooLarge", `The keys of one state exceed ${MOST_BYTES / 2} bytes`)
    const bytes = new Uint8Array(size)
    let to = 0
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.kinds[slot] === 0) continue
      const start = this.starts[slot]!
      this.starts[slot] = to
      for (let i = start, end = start + this.lengths[slot]!; i < end; i++) bytes[to++] = this.bytes[i]!
    }
    this.bytes = bytes
    this.used = to
  }
}
