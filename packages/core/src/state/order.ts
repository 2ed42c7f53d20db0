import type { ByteWriter } from "../bytes.ts"

/*
 * A state key is `operator (4 bytes) · namespace (8) · handle (1) · the handle's own key`, and keys compare as bytes.
 * The namespace (a window's start in ms) stands before the handle and the key, so that all that a window holds goes
 * by one prefix tombstone of 12 bytes. What belongs to no window has the lowest namespace, -Infinity.
 */

/** Length of `operator`. */
export const OPERATOR_BYTES = 4
/** Length of `operator · namespace`: what a prefix tombstone of a namespace is made of. */
export const NAMESPACE_BYTES = 12
/** Length of `operator · namespace · handle`. */
export const HANDLE_BYTES = 13
/** The namespace of state that belongs to no window. Sorts before all others. */
export const NO_NAMESPACE = Number.NEGATIVE_INFINITY

const scratch = new DataView(new ArrayBuffer(8))

/** A number in 8 bytes that compare like the number; -0 becomes 0, and every NaN the same greatest value. */
export const writeOrdered = (out: ByteWriter, value: number): void => {
  scratch.setFloat64(0, value === 0 ? 0 : value)
  const high = Number.isNaN(value) ? 0x7ff80000 : scratch.getUint32(0)
  const low = Number.isNaN(value) ? 0 : scratch.getUint32(4)
  const negative = high >>> 31 === 1
  out.u32(negative ? ~high >>> 0 : (high | 0x80000000) >>> 0)
  out.u32(negative ? ~low >>> 0 : low)
}

/** The number that `writeOrdered` put at `at`. */
export const readOrdered = (bytes: Uint8Array, at: number): number => {
  const high = readU32(bytes, at)
  const low = readU32(bytes, at + 4)
  const positive = high >>> 31 === 1
  scratch.setUint32(0, positive ? high ^ 0x80000000 : ~high)
  scratch.setUint32(4, positive ? low : ~low)
  return scratch.getFloat64(0)
}

export const readU32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

/** The hash that a state key begins with. */
export const operatorOf = (key: Uint8Array): number => readU32(key, 0)

/** Writes `operator · namespace · handle`; the handle's own key follows. */
export const writeStateKey = (out: ByteWriter, operator: number, namespace: number, handle: number): void => {
  out.u32(operator)
  writeOrdered(out, namespace)
  out.u8(handle)
}

/** Byte order of two keys: negative, 0 or positive. */
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => compareRanges(a, 0, a.length, b, 0, b.length)

/** The same of `a[start, end)` and `b[from, to)`. */
export const compareRanges = (
  a: Uint8Array,
  start: number,
  end: number,
  b: Uint8Array,
  from: number,
  to: number
): number => {
  const shared = sharedBytes(a, start, end, b, from, to)
  if (start + shared === end || from + shared === to) return end - start - (to - from)
  return a[start + shared]! - b[from + shared]!
}

/** With how many of the same bytes both begin. */
export const sharedBytes = (
  a: Uint8Array,
  start: number,
  end: number,
  b: Uint8Array,
  from: number,
  to: number
): number => {
  const most = Math.min(end - start, to - from)
  let shared = 0
  while (shared < most && a[start + shared] === b[from + shared]) shared++
  return shared
}

/**
 * The four bytes that stand for an operator's id in its keys: FNV-1a of its UTF-16 units, then mixed. Two ids of one
 * pipeline that share them are refused by `PartitionState`, and an id that changed to another one with the same hash
 * by the descriptor entry, which holds the id.
 */
export const operatorHash = (id: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
