import type { KeyArena } from "./keyArena.ts"
import { hashBytes } from "./table.ts"

/** Numbers in a place: the hash, and slot + 1; 0 is free. */
const PLACE = 2
const SLOT = 1
const FEWEST = 32

/** Finds the slots of an arena by their keys: open addressing, from which keys can be taken away. Lookups allocate nothing. */
export class KeyIndex {
  private readonly keys: KeyArena
  private index = new Int32Array(FEWEST * PLACE)
  private mask = FEWEST - 1
  private count = 0

  constructor(keys: KeyArena) {
    this.keys = keys
  }

  get byteSize(): number {
    return this.index.byteLength
  }

  /** The slot of a key, -1 if it is not there. */
  find(kind: number, bytes: Uint8Array, start: number, end: number): number {
    const { index, mask, keys } = this
    const hash = hashBytes(bytes, start, end)
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = index[at * PLACE + SLOT]! - 1
      if (slot < 0) return -1
      if (index[at * PLACE] === hash && keys.holds(slot, kind, bytes, start, end)) return slot
    }
  }

  /** The slot that a key has most likely, by its hash alone; -1 if there is none of that hash. */
  guess(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashBytes(bytes, start, end)
    const { index, mask } = this
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = index[at * PLACE + SLOT]! - 1
      if (slot < 0 || index[at * PLACE] === hash) return slot
    }
  }

  /** Its key is not here yet. */
  add(slot: number): void {
    if (++this.count * 3 > (this.mask + 1) * 2) this.resize((this.mask + 1) * 2)
    this.insert(this.hashOf(slot), slot + 1)
  }

  /** Before its key leaves the arena. What stands behind it and belongs further to the front moves up. */
  remove(slot: number): void {
    const { index, mask } = this
    let hole = this.hashOf(slot) & mask
    while (index[hole * PLACE + SLOT] !== slot + 1) hole = (hole + 1) & mask
    for (let at = (hole + 1) & mask; index[at * PLACE + SLOT] !== 0; at = (at + 1) & mask) {
      const away = (at - index[at * PLACE]!) & mask
      if (away < ((at - hole) & mask)) continue
      index[hole * PLACE] = index[at * PLACE]!
      index[hole * PLACE + SLOT] = index[at * PLACE + SLOT]!
      hole = at
    }
    index[hole * PLACE + SLOT] = 0
    if (--this.count * 8 < mask && mask >= FEWEST) this.resize((mask + 1) / 2)
  }

  private hashOf(slot: number): number {
    return hashBytes(this.keys.bytes, this.keys.startOf(slot), this.keys.endOf(slot))
  }

  private insert(hash: number, value: number): void {
    const { index, mask } = this
    let at = hash & mask
    while (index[at * PLACE + SLOT] !== 0) at = (at + 1) & mask
    index[at * PLACE] = hash
    index[at * PLACE + SLOT] = value
  }

  private resize(places: number): void {
    const before = this.index
    this.index = new Int32Array(places * PLACE)
    this.mask = places - 1
    for (let from = 0; from < before.length; from += PLACE)
      if (before[from + SLOT] !== 0) this.insert(before[from]!, before[from + SLOT]!)
  }
}
