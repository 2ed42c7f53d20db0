import { ByteWriter } from "../bytes.ts"
import type { BlockIndex } from "./blockIndex.ts"
import { StateError } from "./error.ts"
import { HANDLE_BYTES, sharedBytes } from "./order.ts"

/*
 * A block of a checkpoint: whole entries back to back, in the order of their keys.
 *   varint key length · key · varint value length · value
 */

/** One entry of a checkpoint: key and value. */
export type Entry = readonly [key: Uint8Array, value: Uint8Array]

/** Where an entry's key and value stand. */
export interface EntryRange {
  readonly bytes: Uint8Array
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly valueEnd: number
}

/** Appends an entry. */
export const writeEntry = (out: ByteWriter, key: Uint8Array, value: Uint8Array): void => {
  out.varint(key.length)
  out.copy(key, 0, key.length)
  out.varint(value.length)
  out.copy(value, 0, value.length)
}

/** A block of these entries. */
export const blockOf = (entries: Iterable<Entry>): Uint8Array => {
  const out = new ByteWriter(1024)
  for (const [key, value] of entries) writeEntry(out, key, value)
  return out.written()
}

/** The entries of a block: views of it. */
export function* entriesIn(block: Uint8Array): Generator<Entry> {
  const reader = new EntryReader()
  reader.reset(block)
  while (reader.next())
    yield [block.subarray(reader.keyStart, reader.keyEnd), block.subarray(reader.valueStart, reader.valueEnd)]
}

/**
 * Walks over entries without making an object for each: `reset`, then `while (reader.next()) …`. Throws StateError
 * `Damaged` at what cannot have been written; never reads beyond the range it was given.
 */
export class EntryReader implements EntryRange {
  bytes: Uint8Array = new Uint8Array(0)
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  /** Where the next entry starts. */
  valueEnd = 0
  /** Where this entry starts. */
  start = 0
  /** Entries since `reset`, this one included. */
  count = 0
  private limit = 0
  private at = 0
  private index: BlockIndex | undefined
  /** With how many bytes of the key before it a key has to begin. */
  private alike = 0

  /** Starts over, before the first entry of a range. `index`: of a block that the range is. */
  reset(bytes: Uint8Array, start = 0, end = bytes.length, index?: BlockIndex): void {
    this.bytes = bytes
    this.index = index
    this.valueEnd = start
    this.limit = end
    this.count = 0
    this.alike = 0
  }

  /** Moves to the next entry; false at the end, of the run where one was begun. */
  next(): boolean {
    if (this.valueEnd === this.limit) return false
    const keyEnd = this.range(this.valueEnd)
    if (this.alike > 0 && !this.isAlike(this.keyStart, this.at, keyEnd)) return false
    this.count++
    this.start = this.valueEnd
    this.keyStart = this.at
    this.keyEnd = keyEnd
    this.valueEnd = this.range(keyEnd)
    this.valueStart = this.at
    return true
  }

  /**
   * Begins a run: the entries of an operator, namespace and handle. Shows the key of the first of them, before which it stands
   * until `next`; false at the end of all. A key that is too short for a handle is a run of its own.
   */
  begin(): boolean {
    if (this.valueEnd === this.limit) return false
    this.keyEnd = this.range(this.valueEnd)
    this.keyStart = this.at
    this.alike = HANDLE_BYTES
    return true
  }

  /** The index of the block, where all of it is the run that was just begun. */
  get whole(): BlockIndex | undefined {
    const { index } = this
    if (index === undefined || this.count > 0) return undefined
    const end = this.range(lastOf(index))
    // They are in order: what begins and ends alike is alike.
    return this.isAlike(this.keyStart, this.at, end) ? index : undefined
  }

  /** Moves on from the first entry of such a run to its last one, as if all in between had been walked over. */
  toLast(index: BlockIndex): void {
    this.valueEnd = lastOf(index)
    this.count = index.starts.length - 1
    this.next()
    if (this.valueEnd !== this.limit) throw this.damaged(this.valueEnd)
  }

  /** Stands at the key of the entry that starts there; its value is not looked at. */
  seekKey(bytes: Uint8Array, start: number): void {
    this.bytes = bytes
    this.limit = bytes.length
    this.keyEnd = this.range(start)
    this.keyStart = this.at
  }

  private isAlike(first: number, start: number, end: number): boolean {
    const { bytes, alike, keyEnd } = this
    if (keyEnd - first < alike || end - start < alike) return start === first
    let same = 0
    while (same < alike && bytes[first + same] === bytes[start + same]) same++
    return same === alike
  }

  /** Reads a length and returns where what it measures ends; `at` then stands at its start. */
  private range(start: number): number {
    let at = start
    let length = 0
    let scale = 1
    for (let digits = 0; ; digits++, scale *= 128) {
      if (at >= this.limit || digits === 5) throw this.damaged(at)
      const byte = this.bytes[at++]!
      length += (byte & 127) * scale
      if (byte < 128) break
    }
    if (length > this.limit - at) throw this.damaged(at)
    this.at = at
    return at + length
  }

  private damaged(at: number): StateError {
    return new StateError("Damaged", `A checkpoint's entry ends early at byte ${at} of ${this.limit}`)
  }
}

const lastOf = ({ starts }: BlockIndex): number => starts[starts.length - 1]!

/** Sees to it that keys come in their order. */
export class KeyOrder {
  /** Where the last key stands; undefined before the first. */
  private last: Uint8Array | undefined
  private start = 0
  private end = 0

  /** With how many bytes of the key before it an entry's begins, `known` of which are known to be; of the first one 0. Throws StateError. */
  next({ bytes, keyStart, keyEnd }: EntryRange, known = 0): number {
    const shared = this.shared(bytes, keyStart, keyEnd, known)
    this.last = bytes
    this.start = keyStart
    this.end = keyEnd
    return shared
  }

  private shared(bytes: Uint8Array, keyStart: number, keyEnd: number, known: number): number {
    const { last, start, end } = this
    if (last === undefined) return 0
    const shared = known + sharedBytes(last, start + known, end, bytes, keyStart + known, keyEnd)
    const isEnd = start + shared === end
    if (keyStart + shared === keyEnd || (!isEnd && last[start + shared]! > bytes[keyStart + shared]!))
      throw new StateError("Damaged", "A checkpoint's entries are not sorted by key")
    return shared
  }

  /** The bytes that the last key stands in are done with. */
  keep(): void {
    this.last = this.last?.slice(this.start, this.end)
    this.end -= this.start
    this.start = 0
  }
}
