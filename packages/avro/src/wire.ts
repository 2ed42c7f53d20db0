import { Buffer } from "node:buffer"
import { DecodeError } from "@headrace/core"

/**
 * Reading Avro's atoms with bounds. Each reader takes the bytes, a position and the record's end, and leaves the
 * position after what it read in `at.p`: JavaScript cannot return two numbers without an allocation.
 */
export const at = { p: 0 }

export const truncated = (): never => {
  throw new DecodeError("Truncated", "the record ends in the middle of a value")
}
export const invalid = (what: string): never => {
  throw new DecodeError("Invalid", `the record is not what its schema says: ${what}`)
}
const outOfRange = (what: string): never => {
  throw new DecodeError("OutOfRange", what)
}

let low = 0
let high = 0
let top = 0

/** Splits a varint into 28 + 28 + 8 bits. Never reads at or after `end`. */
const varint = (b: Uint8Array, p: number, end: number): void => {
  low = high = top = 0
  for (let i = 0; i < 10; i++) {
    if (p >= end) truncated()
    const byte = b[p++]!
    const bits = byte & 127
    if (i < 4) low |= bits << (7 * i)
    else if (i < 8) high |= bits << (7 * (i - 4))
    else top |= bits << (7 * (i - 8))
    if (byte < 128) {
      if (top > 255) invalid("an integer longer than 64 bits")
      at.p = p
      return
    }
  }
  invalid("an integer longer than 64 bits")
}

const TWO_27 = 2 ** 27
const TWO_55 = 2 ** 55

/** The integer last split, as a double: exact within ±2^53, rounded beyond. */
const approximate = (): number => {
  const magnitude = (low >>> 1) + high * TWO_27 + top * TWO_55
  return low & 1 ? -magnitude - 1 : magnitude
}

/**
 * Reads a long into `into[slot]` and returns the position after it: a double that is returned or kept in a property
 * would be an allocation under V8. Counts, cents and lengths end within four bytes, timestamps within seven.
 */
export const longInto = (b: Uint8Array, p: number, end: number, into: Float64Array, slot: number): number => {
  if (end - p < 8) return anyLongInto(b, p, end, into, slot)
  let byte = b[p]!
  let bits = byte & 127
  let size = 1
  while (byte > 127 && size < 4) {
    byte = b[p + size]!
    bits |= (byte & 127) << (7 * size)
    size++
  }
  if (byte > 127) return timestampInto(b, p, end, into, slot, bits)
  into[slot] = (bits >>> 1) ^ -(bits & 1)
  return p + size
}

/** The integer whose first 28 bits are known; at least eight bytes are there. */
const timestampInto = (
  b: Uint8Array,
  p: number,
  end: number,
  into: Float64Array,
  slot: number,
  first: number
): number => {
  let byte = b[p + 4]!
  let bits = byte & 127
  let size = 5
  while (byte > 127 && size < 7) {
    byte = b[p + size]!
    bits |= (byte & 127) << (7 * (size - 4))
    size++
  }
  if (byte > 127) return anyLongInto(b, p, end, into, slot)
  const magnitude = (first >>> 1) + bits * TWO_27
  into[slot] = first & 1 ? -magnitude - 1 : magnitude
  return p + size
}

const anyLongInto = (b: Uint8Array, p: number, end: number, into: Float64Array, slot: number): number => {
  varint(b, p, end)
  const value = approximate()
  if (!Number.isSafeInteger(value))
    outOfRange("a long beyond ±2^53 where the schema says number; declare it as a BigInt")
  into[slot] = value
  return at.p
}

export const intInto = (b: Uint8Array, p: number, end: number, into: Float64Array, slot: number): number => {
  const next = longInto(b, p, end, into, slot)
  const value = into[slot]!
  if (value !== (value | 0)) outOfRange("an int beyond 32 bits")
  return next
}

/** A long promoted to float or double: rounded where it is large. */
export const approximateInto = (b: Uint8Array, p: number, end: number, into: Float64Array, slot: number): number => {
  varint(b, p, end)
  into[slot] = approximate()
  return at.p
}

const scratch = new Uint8Array(8)
const scratchView = new DataView(scratch.buffer)

export const floatInto = (b: Uint8Array, p: number, end: number, into: Float64Array, slot: number): number => {
  if (end - p < 4) truncated()
  for (let i = 0; i < 4; i++) scratch[i] = b[p + i]!
  into[slot] = scratchView.getFloat32(0, true)
  return p + 4
}

export const doubleInto = (b: Uint8Array, p: number, end: number, into: Float64Array, slot: number): number => {
  if (end - p < 8) truncated()
  for (let i = 0; i < 8; i++) scratch[i] = b[p + i]!
  into[slot] = scratchView.getFloat64(0, true)
  return p + 8
}

const single = new Float64Array(1)
type Into = typeof longInto
const returning =
  (into: Into) =>
  (b: Uint8Array, p: number, end: number): number => {
    at.p = into(b, p, end, single, 0)
    return single[0]!
  }

export const readLong = returning(longInto)
export const readInt = returning(intInto)
export const readApproximate = returning(approximateInto)
export const readFloat = returning(floatInto)
export const readDouble = returning(doubleInto)

export const readBigInt = (b: Uint8Array, p: number, end: number): bigint => {
  varint(b, p, end)
  const unsigned = (BigInt(top) << 56n) | (BigInt(high) << 28n) | BigInt(low)
  return (unsigned >> 1n) ^ -(unsigned & 1n)
}

/** The position after a varint of at most 64 bits. */
export const skipVarint = (b: Uint8Array, p: number, end: number): number => {
  varint(b, p, end)
  return at.p
}

/** A length that fits before `end`; `at.p` stands on the content. */
export const readLength = (b: Uint8Array, p: number, end: number): number => {
  const length = readLong(b, p, end)
  if (length < 0) invalid("a negative length")
  if (length > end - at.p) truncated()
  return length
}

/** A position among `count`: of an enum's symbol or a union's branch. */
export const readIndex = (b: Uint8Array, p: number, end: number, count: number): number => {
  const index = readLong(b, p, end)
  if (index < 0 || index >= count) invalid(`index ${index} where the schema has ${count} choices`)
  return index
}

export const readBoolean = (b: Uint8Array, p: number, end: number): boolean => {
  if (p >= end) truncated()
  const byte = b[p]!
  if (byte > 1) invalid("a boolean that is neither 0 nor 1")
  at.p = p + 1
  return byte === 1
}

/** Nulls and empty records take no bytes, so that a few bytes could ask for a million million of them. */
const MAX_EMPTY_ITEMS = 65536

/** The number of items in the next block of an array or map, 0 at its end. `least`: the fewest bytes of an item. */
export const readBlock = (b: Uint8Array, p: number, end: number, least: number): number => {
  let count = readLong(b, p, end)
  if (count < 0) {
    count = -count
    readLength(b, at.p, end)
  }
  if (least > 0 ? count * least > end - at.p : count > MAX_EMPTY_ITEMS) truncated()
  return count
}

interface Slicing {
  utf8Slice(this: Uint8Array, start: number, end: number): string
}
const { utf8Slice } = Buffer.prototype as unknown as Slicing

/** Makes the string of UTF-8 bytes; what is no UTF-8 becomes U+FFFD, as TextDecoder does. */
export const text = (b: Uint8Array, start: number, end: number): string => utf8Slice.call(b, start, end)
