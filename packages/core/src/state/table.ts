import { StateError } from "./error.ts"

/** Offsets into the keys are unsigned 32-bit; half of that leaves room to double. */
const MAX_KEY_BYTES = 0x7fffffff
/** Column 0 of each row: the epoch that touched it last. */
const STAMP = 0

/** Numbers in a place of the index, and where they stand in it behind the hash. */
const PLACE = 4
const SLOT = 1
const START = 2
const LENGTH = 3

/** A fast hash of short keys, four bytes a step. Not against an adversary: it has no secret. */
export const hashBytes = (bytes: Uint8Array, start: number, end: number): number => {
  let hash = end - start
  let i = start
  for (const words = end - 3; i < words; i += 4) {
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    hash = Math.imul(hash ^ word, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  for (; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/**
 * An open-addressing hash table from keys of bytes to rows of numbers. Slots are numbered in order of insertion and
 * never move. Keys lie back to back in one arena. The numbers of a row lie side by side, since an update touches all
 * of them and a row is then one or two cache lines whatever the number of keys. Lookups allocate nothing.
 */
export class Table {
  /** Numbers in a row, the stamp included; a row starts at `slot * stride`. */
  readonly stride: number
  /** Slots in use: 0 … count − 1. */
  count = 0
  /** Changes identity when the table grows: read it again after `upsert`. Column 0 is the table's own. */
  rows: Float64Array
  /** All keys back to back; that of a slot is `keys[offsets[slot], offsets[slot + 1])`. */
  keys: Uint8Array
  offsets: Uint32Array
  /** Slots touched since `clean`: `dirty[0 … dirtyCount)`. */
  dirty = new Int32Array(16)
  dirtyCount = 0
  private readonly hash: typeof hashBytes
  /**
   * Four numbers a place, so that a probe reads one cache line and the key and the row can then be fetched at the same
   * time: hash, slot + 1 (0 is free), where the key starts in `keys`, its length.
   */
  private index: Int32Array
  private mask: number

  /** `expected` keys fit without growing. `hash` is for tests, which need collisions. */
  constructor(columns: number, expected = 16, hash: typeof hashBytes = hashBytes) {
    const places = 2 ** Math.ceil(Math.log2(Math.max(16, expected * 1.5)))
    this.stride = columns + 1
    this.rows = new Float64Array(expected * this.stride)
    this.keys = new Uint8Array(expected * 16)
    this.offsets = new Uint32Array(expected + 1)
    this.index = new Int32Array(places * PLACE)
    this.mask = places - 1
    this.hash = hash
  }

  /** The slot of a key, -1 if it is not there. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const hash = this.hash(bytes, start, end)
    for (let at = hash & this.mask; ; at = (at + 1) & this.mask) {
      const slot = this.index[at * PLACE + SLOT]! - 1
      if (slot < 0) return -1
      if (this.index[at * PLACE] === hash && this.holds(at, bytes, start, end)) return slot
    }
  }

  /** The slot of a key, which is added if it is not there: then the slot is what `count` was, its row zeros. */
  upsert(bytes: Uint8Array, start: number, end: number): number {
    const hash = this.hash(bytes, start, end)
    for (let at = hash & this.mask; ; at = (at + 1) & this.mask) {
      const slot = this.index[at * PLACE + SLOT]! - 1
      if (slot < 0) return this.insert(at, hash, bytes, start, end)
      if (this.index[at * PLACE] === hash && this.holds(at, bytes, start, end)) return slot
    }
  }

  /** Puts the slot on the dirty list unless this epoch (1, 2, …) has already done so. */
  touch(slot: number, epoch: number): void {
    const stamp = slot * this.stride + STAMP
    if (this.rows[stamp] === epoch) return
    this.rows[stamp] = epoch
    if (this.dirtyCount === this.dirty.length) this.dirty = copyInto(new Int32Array(this.dirtyCount * 2), this.dirty)
    this.dirty[this.dirtyCount++] = slot
  }

  /** Empties the dirty list; the next epoch must be another one. */
  clean(): void {
    this.dirtyCount = 0
  }

  /** Bytes of memory that are allocated. */
  get byteSize(): number {
    return (
      this.rows.byteLength +
      this.keys.byteLength +
      this.offsets.byteLength +
      this.index.byteLength +
      this.dirty.byteLength
    )
  }

  private holds(at: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.index[at * PLACE + LENGTH] !== end - start) return false
    const keys = this.keys
    for (let i = start, j = this.index[at * PLACE + START]!; i < end; i++, j++) if (bytes[i] !== keys[j]) return false
    return true
  }

  private insert(at: number, hash: number, bytes: Uint8Array, start: number, end: number): number {
    const slot = this.count
    this.makeRoom(end - start)
    const place = at * PLACE
    let write = this.offsets[slot]!
    this.index[place] = hash
    this.index[place + SLOT] = slot + 1
    this.index[place + START] = write
    this.index[place + LENGTH] = end - start
    for (let i = start; i < end; i++) this.keys[write++] = bytes[i]!
    this.offsets[slot + 1] = write
    this.count = slot + 1
    if (this.count * 3 > (this.mask + 1) * 2) this.rehash()
    return slot
  }

  private makeRoom(keyBytes: number): void {
    const used = this.offsets[this.count]! + keyBytes
    if (used > MAX_KEY_BYTES)
      throw new StateError("TooLarge", `The keys of one table (one window) exceed ${MAX_KEY_BYTES} bytes`)
    if (used > this.keys.length) this.keys = copyInto(new Uint8Array(Math.max(used, this.keys.length * 2)), this.keys)
    if (this.count + 1 < this.offsets.length) return
    this.offsets = copyInto(new Uint32Array(this.offsets.length * 2), this.offsets)
    this.rows = copyInto(new Float64Array((this.offsets.length - 1) * this.stride), this.rows)
  }

  private rehash(): void {
    const before = this.index
    const places = (this.mask + 1) * 2
    const index = new Int32Array(places * PLACE)
    const mask = places - 1
    for (let from = 0; from < before.length; from += PLACE) {
      if (before[from + SLOT] === 0) continue
      let at = before[from]! & mask
      while (index[at * PLACE + SLOT] !== 0) at = (at + 1) & mask
      for (let i = 0; i < PLACE; i++) index[at * PLACE + i] = before[from + i]!
    }
    this.index = index
    this.mask = mask
  }
}

const copyInto = <A extends Int32Array | Uint8Array | Uint32Array | Float64Array>(target: A, source: A): A => {
  target.set(source)
  return target
}
