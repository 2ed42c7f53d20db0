import type { ByteWriter } from "../bytes.ts"
import { StateError } from "./error.ts"

/*
 * A change is an absolute value, a tombstone or a prefix tombstone, never an increment: applying it twice does no harm.
 *   put               1 · varint key length · key · varint value length · value
 *   tombstone         2 · varint key length · key
 *   prefix tombstone  3 · varint key length · key
 * Changes stand back to back and count in that order. Nothing frames them: the record or block that holds them does.
 */
export const PUT = 1
/** The entry of this key is gone. */
export const TOMBSTONE = 2
/** All entries whose keys begin so are gone. */
export const PREFIX_TOMBSTONE = 3

/** Appends a put of what the two writers hold. */
export const writePut = (out: ByteWriter, key: ByteWriter, value: ByteWriter): void =>
  put(out, key.bytes, key.length, value.bytes, value.length)

/** Begins a put whose key, `close`, `open`, value and `close` follow in `out`. Returns where the key begins. */
export const beginPut = (out: ByteWriter): number => begin(out, PUT)

/** Begins a tombstone whose key and `close` follow. */
export const beginTombstone = (out: ByteWriter): number => begin(out, TOMBSTONE)

const begin = (out: ByteWriter, kind: number): number => {
  out.u8(kind)
  return out.open()
}

/** The same of an entry's bytes, as a store or a block has them. */
export const copyPut = (out: ByteWriter, key: Uint8Array, value: Uint8Array): void =>
  put(out, key, key.length, value, value.length)

const put = (out: ByteWriter, key: Uint8Array, keyLength: number, value: Uint8Array, valueLength: number): void => {
  out.reserve(keyLength + valueLength + 24)
  writeKey(out, PUT, key, keyLength)
  out.varint(valueLength)
  out.copy(value, 0, valueLength)
}

/** Appends the removal of one key. */
export const writeTombstone = (out: ByteWriter, key: ByteWriter): void =>
  writeKey(out, TOMBSTONE, key.bytes, key.length)

/** Appends the removal of every key that starts with `prefix`. */
export const writePrefixTombstone = (out: ByteWriter, prefix: ByteWriter): void =>
  writeKey(out, PREFIX_TOMBSTONE, prefix.bytes, prefix.length)

const writeKey = (out: ByteWriter, kind: number, key: Uint8Array, length: number): void => {
  out.u8(kind)
  out.varint(length)
  out.copy(key, 0, length)
}

/**
 * Walks over changes without making an object for each: `while (reader.next()) …` with `kind` and the ranges in
 * `bytes`. Throws StateError `Damaged` at what cannot have been written; never reads beyond the range it was given.
 */
export class ChangeReader {
  bytes: Uint8Array
  kind = 0
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0
  private at: number
  private limit: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = start
    this.limit = end
  }

  /** Starts over on other bytes. */
  reset(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.bytes = bytes
    this.at = start
    this.limit = end
  }

  /** Moves to the next change; false at the end. */
  next(): boolean {
    if (this.at === this.limit) return false
    this.kind = this.bytes[this.at++]!
    if (this.kind < PUT || this.kind > PREFIX_TOMBSTONE) throw this.damaged(`unknown kind ${this.kind}`)
    this.keyEnd = this.range()
    this.keyStart = this.at
    this.at = this.keyEnd
    this.valueEnd = this.kind === PUT ? this.range() : this.at
    this.valueStart = this.at
    this.at = this.valueEnd
    return true
  }

  key(): Uint8Array {
    return this.bytes.subarray(this.keyStart, this.keyEnd)
  }

  /** The value of a put, undefined for tombstones. */
  value(): Uint8Array | undefined {
    return this.kind === PUT ? this.bytes.subarray(this.valueStart, this.valueEnd) : undefined
  }

  /** Reads a length and returns where what it measures ends; `at` then stands at its start. */
  private range(): number {
    let length = 0
    let scale = 1
    for (let digits = 0; ; digits++, scale *= 128) {
      if (this.at >= this.limit || digits === 5) throw this.damaged("a length that does not end")
      const byte = this.bytes[this.at++]!
      length += (byte & 127) * scale
      if (byte < 128) break
    }
    if (length > this.limit - this.at) throw this.damaged(`${length} bytes announced, ${this.limit - this.at} left`)
    return this.at + length
  }

  private damaged(what: string): StateError {
    return new StateError("Damaged", `State changes are damaged at byte ${this.at} of ${this.limit}: ${what}`)
  }
}
