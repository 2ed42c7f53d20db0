import type { ByteWriter, RecordDecoder, RecordEncoder } from "@headrace/core"
import { Effect } from "effect"
import type { PreparedDecoder } from "../ports/codecs.ts"

/** In place of values that JSON has no word for. */
const BIGINT = "$bigint"
const DATE = "$date"
const NUMBER = "$number"
const MARKS = new Set([BIGINT, DATE, NUMBER])

const utf8 = new TextEncoder()
const text = new TextDecoder("utf-8", { fatal: true })

/**
 * Writes records whose schema nobody said, by what they are made of: JSON, with dates, bigints and numbers that JSON does not
 * have. Larger and slower than by a schema. Throws where a record holds anything else.
 */
export const structuralEncoder: RecordEncoder = {
  encode: (record, out) => write(record, out),
  from: (decoder, names) => {
    const encoder: RecordEncoder = {
      encode: (view, out) => write(plain(decoder, names, view), out),
      from: () => encoder
    }
    return encoder
  }
}

/** A view is the decoder's: what crosses is an object of its own. */
const plain = (decoder: RecordDecoder, names: readonly string[], view: object): object => {
  const record = decoder.materialise() as Record<string, unknown>
  for (const name of names) record[name] = (view as Readonly<Record<string, unknown>>)[name]
  return record
}

const write = (record: object, out: ByteWriter): void => {
  const bytes = utf8.encode(JSON.stringify(record, replaced))
  out.copy(bytes, 0, bytes.length)
}

/** `this` is the object that holds the value: a date has become a text before it comes here. */
function replaced(this: unknown, name: string, value: unknown): unknown {
  const held = (this as Readonly<Record<string, unknown>>)[name]
  if (held instanceof Date) return { [DATE]: held.getTime() }
  if (typeof held === "bigint") return { [BIGINT]: String(held) }
  if (typeof held === "number" && !Number.isFinite(held)) return { [NUMBER]: String(held) }
  if (typeof held === "function" || typeof held === "symbol") throw stranger(name, typeof held)
  if (typeof held === "object" && held !== null && !Array.isArray(held)) checkPlain(name, held)
  return value
}

/** Nothing of a class, and nothing that reads as one of the marks. */
const checkPlain = (name: string, held: object): void => {
  const prototype = Object.getPrototypeOf(held)
  if (prototype !== null && prototype !== Object.prototype) throw stranger(name, held.constructor.name)
  const names = Object.keys(held)
  if (names.length === 1 && MARKS.has(names[0]!)) throw stranger(name, `object of "${names[0]}"`)
}

const stranger = (name: string, what: string): Error =>
  new Error(
    `a record's field "${name}" is a ${what}, which cannot cross to another partition by what it is made of: ` +
      "say the records' schema with as(schema) before keyBy"
  )

const revived = (_: string, value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value)
  if (entries.length !== 1) return value
  const [name, held] = entries[0]!
  if (name === DATE) return new Date(held as number)
  if (name === BIGINT) return BigInt(held as string)
  return name === NUMBER ? Number(held) : value
}

/** Reads what `structuralEncoder` wrote: each record is an object of its own, and stands for itself as its view. */
export const structuralDecoder = (): PreparedDecoder => {
  let record: object = {}
  return {
    fields: [],
    schemaId: () => -1,
    knows: () => true,
    prepare: () => Effect.void,
    view: (bytes, offset, length) => {
      record = JSON.parse(text.decode(bytes.subarray(offset, offset + length)), revived)
      return record
    },
    materialise: () => record,
    span: () => undefined,
    extended: () => {
      throw new Error("A record without a schema is an object, and has no view to extend")
    }
  }
}
