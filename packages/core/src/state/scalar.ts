import type { ByteWriter } from "../bytes.ts"
import type { StoredCodec } from "../codec.ts"
import { type Key, readKey, writeKey } from "../key.ts"

/** In the first byte, beside the kinds of keys. */
const UNDEFINED = 0
const NULL = 16
const FALSE = 17
const TRUE = 18
const CONSTANTS: ReadonlyMap<number, unknown> = new Map<number, unknown>([
  [UNDEFINED, undefined],
  [NULL, null],
  [FALSE, false],
  [TRUE, true]
])

const constantOf = (value: unknown): number | undefined => {
  for (const [tag, constant] of CONSTANTS) if (constant === value) return tag
  return undefined
}

/** Strings, numbers, bigints, booleans, null and undefined: what functions over records give. */
export const scalarCodec: StoredCodec = {
  write: (value: unknown, out: ByteWriter) => {
    const constant = constantOf(value)
    if (constant !== undefined) return out.u8(constant)
    const at = out.length
    out.u8(0)
    const kind = writeKey(out, value as Key)
    out.bytes[at] = kind
  },
  read: (bytes, start, end) => {
    const tag = bytes[start]!
    return CONSTANTS.has(tag) ? CONSTANTS.get(tag) : readKey(bytes, start + 1, end, tag)
  }
}
