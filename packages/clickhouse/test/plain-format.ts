import { DecodeError, type FieldSpan } from "@headrace/core"
import type { PreparedDecoder } from "@headrace/engine"
import { Effect } from "effect"

const utf8 = new TextEncoder()
const text = new TextDecoder()

/**
 * A record format for tests: a byte 7, the length of a JSON text, the text, then each string field with its length. The
 * strings lie there as bytes, as they do in Avro, so that the decoder can point at them.
 */
export const encodePlain = (record: Readonly<Record<string, unknown>>, spans: readonly string[]): Uint8Array => {
  const rest = Object.fromEntries(Object.entries(record).filter(([name]) => !spans.includes(name)))
  const parts = [JSON.stringify(rest, plain), ...spans.map(name => String(record[name]))].map(part => utf8.encode(part))
  const out = new Uint8Array(1 + parts.reduce((sum, part) => sum + 4 + part.length, 0))
  out[0] = 7
  let at = 1
  for (const part of parts) {
    new DataView(out.buffer).setUint32(at, part.length)
    out.set(part, at + 4)
    at += 4 + part.length
  }
  return out
}

const plain = (_key: string, value: unknown): unknown => {
  if (typeof value === "bigint") return { $big: value.toString() }
  return value instanceof Uint8Array ? { $bytes: [...value] } : value
}

const revive = (_key: string, value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if ("$big" in value) return BigInt(value.$big as string)
  return "$bytes" in value ? Uint8Array.from(value.$bytes as number[]) : value
}

export const plainDecoder = (fields: readonly string[], spans: readonly string[]): PreparedDecoder => {
  let current: Record<string, unknown> = {}
  const starts = new Map<string, readonly [number, number]>()
  const view = (bytes: Uint8Array, offset: number, _length: number): object => {
    if (bytes[offset] !== 7) throw new DecodeError("NotFramed", "not a test record")
    let at = offset + 1
    const next = (): readonly [number, number] => {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at)
      at += 4 + length
      return [at - length, at]
    }
    const [start, end] = next()
    current = { ...(JSON.parse(text.decode(bytes.subarray(start, end)), revive) as Record<string, unknown>) }
    for (const name of spans) {
      const range = next()
      starts.set(name, range)
      current[name] = text.decode(bytes.subarray(...range))
    }
    return current
  }
  const span = (name: string): FieldSpan | undefined =>
    spans.includes(name) ? { start: () => starts.get(name)![0], end: () => starts.get(name)![1] } : undefined
  return {
    fields,
    schemaId: () => -1,
    knows: () => true,
    view,
    materialise: () => current,
    span,
    extended: () => current,
    prepare: () => Effect.void
  }
}
