import { ByteWriter } from "../bytes.ts"
import type { EntryReader } from "./block.ts"
import { sharedBytes } from "./order.ts"

/**
 * Entries of a checkpoint, in the order of their keys and found by halving: they need no index. They leave one by one; when
 * half of them have, the others are written anew, so that a few that nobody asks for do not hold on to all. Slots are
 * numbered in that order, and have changed after a `leave`.
 */
export class EntryRun {
  /** Entries that have not left. */
  held: number
  private bytes: Uint8Array
  /** Where each entry starts in `bytes`; once it has left, the complement of that. */
  private starts: Int32Array
  /** What is before this slot has left. */
  private first = 0

  constructor(bytes: Uint8Array, starts: Int32Array) {
    this.bytes = bytes
    this.starts = starts
    this.held = starts.length
  }

  get byteSize(): number {
    return this.bytes.byteLength + this.starts.byteLength
  }

  /** Slots, of entries that have left as well. */
  get slots(): number {
    return this.starts.length
  }

  /** The first slot that has not left; only while there is one. */
  get firstSlot(): number {
    while (this.starts[this.first]! < 0) this.first++
    return this.first
  }

  holds(slot: number): boolean {
    return this.starts[slot]! >= 0
  }

  /** Has the reader stand at an entry, left or not. */
  stand(slot: number, reader: EntryReader): void {
    const start = this.starts[slot]!
    reader.reset(this.bytes, start < 0 ? ~start : start)
    reader.next()
  }

  /** The first slot whose key is not before `prefix[0, length)`. */
  slotOf(prefix: Uint8Array, length: number, reader: EntryReader): number {
    let low = this.first
    let lowShared = 0
    let highShared = 0
    for (let high = this.starts.length; low < high; ) {
      const middle = (low + high) >>> 1
      const shared = this.compare(middle, prefix, length, Math.min(lowShared, highShared), reader)
      if (shared >= 0) {
        low = middle + 1
        lowShared = shared
      } else {
        high = middle
        highShared = ~shared
      }
    }
    return low
  }

  /**
   * With how many of the same bytes a key and `prefix[0, length)` begin, if the key is before it; else the complement of that.
   * The first `known` are known to be: what both ends of a search share with a prefix, all in between does.
   */
  compare(slot: number, prefix: Uint8Array, length: number, known: number, reader: EntryReader): number {
    const start = this.starts[slot]!
    reader.seekKey(this.bytes, start < 0 ? ~start : start)
    const { bytes, keyStart, keyEnd } = reader
    const shared = known + sharedBytes(bytes, keyStart + known, keyEnd, prefix, known, length)
    const isBefore = shared < length && (keyStart + shared === keyEnd || bytes[keyStart + shared]! < prefix[shared]!)
    return isBefore ? shared : ~shared
  }

  /** Entries leave, if they have not. What was read of them stays good. */
  leave(from: number, to: number, reader: EntryReader): void {
    for (let slot = from; slot < to; slot++) {
      if (this.starts[slot]! < 0) continue
      this.starts[slot] = ~this.starts[slot]!
      this.held--
    }
    if (this.held * 2 <= this.starts.length) this.shrink(reader)
  }

  /** Writes anew what is left: what that costs was saved up by those that have left. */
  private shrink(reader: EntryReader): void {
    const kept = new ByteWriter(this.bytes.length >> 1)
    const starts = new Int32Array(this.held)
    let count = 0
    for (let slot = this.first; slot < this.starts.length; slot++) {
      if (!this.holds(slot)) continue
      this.stand(slot, reader)
      starts[count++] = kept.length
      kept.copy(reader.bytes, reader.start, reader.valueEnd)
    }
    this.bytes = kept.written().slice()
    this.starts = starts
    this.first = 0
  }
}
