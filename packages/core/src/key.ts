import type { ByteWriter } from "./bytes.ts"
import { readOrdered, writeOrdered } from "./state/order.ts"

/** What records, and the entries of a state, are kept by. */
export type Key = string | number | bigint

/** What a key was before it became bytes. All keys of one keyed stream are of one kind. */
export const STRING_KEY = 1
/** A key that was a number. */
export const NUMBER_KEY = 2
/** A key that was a bigint. */
export const BIGINT_KEY = 3

/**
 * The key of the current record as bytes: `bytes[start, end)`, valid during the call of `next`. One object for each
 * keyed stretch of a chain: keyBy or a window writes it, the operators and sinks behind it read it (a sink can use
 * the bytes as Kafka key as they are). Strings are their UTF-8, numbers 8 bytes and bigints 2 or more, in bytes that
 * sort like them.
 */
export interface Keyed {
  bytes: Uint8Array
  start: number
  end: number
  /** STRING_KEY, NUMBER_KEY or BIGINT_KEY; 0 before the first record. */
  kind: number
}

/** A key context for one stretch of a chain. */
export const keyed = (): Keyed => ({ bytes: new Uint8Array(0), start: 0, end: 0, kind: 0 })

/** A key function returned what cannot be a key, or keys of two kinds. */
export class KeyError extends Error {
  override readonly name = "KeyError"
}

const text = new TextEncoder()
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

/** Appends the bytes of a key and returns its kind. Lone surrogates become U+FFFD, as everywhere in UTF-8. */
export const writeKey = (out: ByteWriter, key: Key): number => {
  if (typeof key === "string") return writeString(out, key)
  if (typeof key === "number") {
    writeOrdered(out, key)
    return NUMBER_KEY
  }
  if (typeof key === "bigint") return writeBigint(out, key)
  throw new KeyError(`A key must be a string, number or bigint, but the key function returned ${describe(key)}`)
}

/** The JS value of the key in `bytes[start, end)`. */
export const readKey = (bytes: Uint8Array, start: number, end: number, kind: number): Key => {
  if (kind === NUMBER_KEY) return readOrdered(bytes, start)
  return kind === BIGINT_KEY ? readBigint(bytes, start, end) : readString(bytes, start, end)
}

const describe = (value: unknown): string => (value === null ? "null" : typeof value)

const writeString = (out: ByteWriter, key: string): number => {
  const begin = out.length
  out.reserve(key.length * 3)
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i)
    if (unit >= 128) {
      out.length = begin + text.encodeInto(key, out.bytes.subarray(begin)).written
      return STRING_KEY
    }
    out.bytes[begin + i] = unit
  }
  out.length = begin + key.length
  return STRING_KEY
}

/** Short ASCII, which most keys are, is cheaper to read here than by a TextDecoder. */
const readString = (bytes: Uint8Array, start: number, end: number): string => {
  if (end - start > 24) return utf8.decode(bytes.subarray(start, end))
  let ascii = ""
  for (let i = start; i < end; i++) {
    if (bytes[i]! >= 128) return utf8.decode(bytes.subarray(start, end))
    ascii += String.fromCharCode(bytes[i]!)
  }
  return ascii
}

/** One byte for sign and length, then the magnitude big-endian; a negative one has all bits flipped. */
const writeBigint = (out: ByteWriter, key: bigint): number => {
  const magnitude = key < 0n ? -key : key
  const hex = magnitude.toString(16)
  const digits = hex.length % 2 === 0 ? hex : `0${hex}`
  const length = digits.length / 2
  if (length > 127) throw new KeyError(`A bigint key may have 127 bytes, this one has ${length}`)
  const flip = key < 0n ? 255 : 0
  out.u8((128 + length) ^ flip)
  for (let i = 0; i < length; i++) out.u8(Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16) ^ flip)
  return BIGINT_KEY
}

const readBigint = (bytes: Uint8Array, start: number, end: number): bigint => {
  const flip = bytes[start]! < 128 ? 255 : 0
  let magnitude = 0n
  for (let i = start + 1; i < end; i++) magnitude = magnitude * 256n + BigInt(bytes[i]! ^ flip)
  return flip === 0 ? magnitude : -magnitude
}
