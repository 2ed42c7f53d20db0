import type { StoredCodec } from "../src/index.ts"

const utf8 = new TextEncoder()

/** Keeps values as JSON, without a shape. */
export const json: StoredCodec = {
  write: (value, out) => {
    const bytes = utf8.encode(JSON.stringify(value))
    out.copy(bytes, 0, bytes.length)
  },
  read: (bytes, start, end) => JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)))
}
