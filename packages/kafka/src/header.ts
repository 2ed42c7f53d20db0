/** A message header; the value null is not the same as an empty one. */
export interface Header {
  readonly name: string
  readonly value: Uint8Array | null
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Headers from their place in an arena: count u16, then u16 name length, name, i32 value length (−1 null), value. */
export const readHeaders = (bytes: Uint8Array, offset: number, length: number): Header[] => {
  if (length === 0) return []
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, length)
  const headers: Header[] = []
  let at = 2
  for (let left = view.getUint16(0, true); left > 0; left--) {
    const nameLength = view.getUint16(at, true)
    const name = decoder.decode(bytes.subarray(offset + at + 2, offset + at + 2 + nameLength))
    at += 2 + nameLength
    const size = view.getInt32(at, true)
    at += 4
    headers.push({ name, value: size < 0 ? null : bytes.slice(offset + at, offset + at + size) })
    at += Math.max(0, size)
  }
  return headers
}

/** Writes headers at `offset`; the bytes written. The caller has made room: see `headersLength`. */
export const writeHeaders = (headers: readonly Header[], bytes: Uint8Array, offset: number): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setUint16(offset, headers.length, true)
  let at = offset + 2
  for (const { name, value } of headers) {
    const encoded = encoder.encode(name)
    view.setUint16(at, encoded.length, true)
    bytes.set(encoded, at + 2)
    at += 2 + encoded.length
    view.setInt32(at, value === null ? -1 : value.length, true)
    at += 4
    if (value !== null) bytes.set(value, at)
    at += value?.length ?? 0
  }
  return at - offset
}

/** Bytes that `writeHeaders` takes. */
export const headersLength = (headers: readonly Header[]): number =>
  headers.reduce((sum, { name, value }) => sum + 6 + encoder.encode(name).length + (value?.length ?? 0), 2)
