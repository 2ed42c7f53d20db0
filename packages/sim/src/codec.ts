import { type ByteWriter, DecodeError, type RecordDecoder, type RecordEncoder } from "@headrace/core"
import type { PreparedDecoder } from "@headrace/engine"
import { Effect } from "effect"

/** An input event: id u32, cents u32, at f64, account in ASCII to the end. */
export interface Event {
  id: number
  account: string
  cents: number
  at: number
}

const FIXED = 16
const FIELDS = ["id", "account", "cents", "at"] as const
const utf8 = new TextEncoder()
const text = new TextDecoder()

export const encodeEvent = (event: Event): Uint8Array => {
  const account = utf8.encode(event.account)
  const bytes = new Uint8Array(FIXED + account.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, event.id)
  view.setUint32(4, event.cents)
  view.setFloat64(8, event.at)
  bytes.set(account, FIXED)
  return bytes
}

/** A record that no event can be read from; `id` tells it from others. */
export const corruptEvent = (id: number): Uint8Array => utf8.encode(`corrupt ${id}`)

export const decodeEvent = (bytes: Uint8Array, start: number, length: number): Event => {
  if (length <= FIXED) throw new DecodeError("Truncated", `an event of ${length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, length)
  const id = view.getUint32(0)
  const account = text.decode(bytes.subarray(start + FIXED, start + length))
  return { id, account, cents: view.getUint32(4), at: view.getFloat64(8) }
}

/** One reusable view, as the Avro decoder has: what a step keeps of it changes under its hands. */
export const eventDecoder = (): PreparedDecoder => {
  const current: Event = { id: 0, account: "", cents: 0, at: 0 }
  let from = 0
  let to = 0
  const decoder: RecordDecoder = {
    fields: FIELDS,
    schemaId: () => 1,
    knows: () => true,
    view: (bytes, offset, length) => {
      Object.assign(current, decodeEvent(bytes, offset, length))
      from = offset + FIXED
      to = offset + length
      return current
    },
    materialise: () => ({ ...current }),
    span: field => (field === "account" ? { start: () => from, end: () => to } : undefined),
    extended: names => extended(current, names)
  }
  return { ...decoder, prepare: () => Effect.void }
}

const extended = (current: Event, names: readonly string[]): Record<string, unknown> => {
  const record: Record<string, unknown> = {}
  for (const field of FIELDS) Object.defineProperty(record, field, { get: () => current[field], enumerable: true })
  for (const name of names) record[name] = undefined
  return record
}

/** Reads JSON from outside, among which something else may stand. */
export const controlDecoder = (fields: readonly string[]): PreparedDecoder => {
  const decoder = jsonDecoder(fields)
  return {
    ...decoder,
    view: (bytes, offset, length) => {
      if (bytes[offset] !== "{".charCodeAt(0)) throw new DecodeError("Invalid", "it is no JSON")
      return decoder.view(bytes, offset, length)
    }
  }
}

/** Reads what `jsonEncoder` wrote. */
export const jsonDecoder = (fields: readonly string[]): PreparedDecoder => {
  let current: object = {}
  const extended = (): never => {
    throw new Error("nothing is added to outputs")
  }
  return {
    fields,
    schemaId: () => -1,
    knows: () => true,
    view: (bytes, offset, length) => {
      current = JSON.parse(text.decode(bytes.subarray(offset, offset + length)), (_, value) => read(value))
      return current
    },
    materialise: () => current,
    span: () => undefined,
    extended,
    prepare: () => Effect.void
  }
}

/** What JSON has no word for. */
const plain = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return { bytes: [...value] }
  return typeof value === "number" && !Number.isFinite(value) ? { number: String(value) } : value
}

const read = (value: { readonly bytes?: number[]; readonly number?: string } | null | undefined): unknown => {
  if (value?.bytes !== undefined) return Uint8Array.from(value.bytes)
  return value?.number === undefined ? value : Number(value.number)
}

/** Outputs are JSON of the schema's fields, in its order. */
export const jsonEncoder = (fields: readonly string[]): RecordEncoder => {
  const encoder: RecordEncoder = {
    encode: (record, out: ByteWriter) => {
      const values = record as Record<string, unknown>
      const bytes = utf8.encode(JSON.stringify(Object.fromEntries(fields.map(field => [field, plain(values[field])]))))
      out.copy(bytes, 0, bytes.length)
    },
    from: () => encoder
  }
  return encoder
}
