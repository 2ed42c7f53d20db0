import type { ByteWriter, RecordDecoder } from "@headrace/core"
import { type Column, OWN_COLUMNS, type Value } from "./columns.ts"

/** Appends one row in ClickHouse's RowBinary; called for each record, with the view that the decoder stands on. */
export type WriteRow = (
  view: object,
  bytes: Uint8Array,
  out: ByteWriter,
  partition: number,
  offset: number,
  timestampMs: number
) => void

/**
 * Compiles the writer of a table's rows for a decoder's view. Strings that the decoder can point at are copied as
 * bytes, so that no JavaScript string is made. The columns stand in the order of `allColumns`. Called once a sink.
 */
export const compileRows = (columns: readonly Column[], decoder: RecordDecoder, topic: string): WriteRow => {
  const bound: Record<string, unknown> = { text, int64, big, json, raw, prefixed: prefixed(topic) }
  const lines = columns.map((column, i) => columnSource(column, i, decoder, bound))
  const own =
    "out.copy(prefixed, 0, prefixed.length); out.reserve(20); out.view.setInt32(out.length, partition, true); out.length += 4; int64(out, offset); int64(out, timestamp)"
  const body = `return (view, bytes, out, partition, offset, timestamp) => { let v; ${lines.join("\n")}\n${own} }`
  return new Function(...Object.keys(bound), body)(...Object.values(bound)) as WriteRow
}

/** `OWN_COLUMNS` is what `own` writes; the type fails when they part. */
OWN_COLUMNS satisfies readonly ["_topic", "_partition", "_offset", "_timestamp"]

const columnSource = (column: Column, i: number, decoder: RecordDecoder, bound: Record<string, unknown>): string => {
  const span = column.nullable || column.type.kind !== "string" ? undefined : decoder.span(column.name)
  if (span === undefined) return `v = view[${JSON.stringify(column.name)}]; ${valueSource(column, `${i}`, bound)}`
  bound[`start${i}`] = span.start
  bound[`end${i}`] = span.end
  return `{ const s = start${i}(), e = end${i}(); out.varint(e - s); out.copy(bytes, s, e) }`
}

/** Statements that write `v`. */
const valueSource = (value: Value, id: string, bound: Record<string, unknown>): string => {
  const present = presentSource(value, id, bound)
  return value.nullable ? `if (v == null) out.u8(1); else { out.u8(0); ${present} }` : present
}

const presentSource = ({ type }: Value, id: string, bound: Record<string, unknown>): string => {
  switch (type.kind) {
    case "string":
      return "text(out, v);"
    case "enum":
      bound[`words${id}`] = new Map(type.values.map(word => [word, prefixed(word)]))
      return `{ const w = words${id}.get(v); if (w === undefined) text(out, v); else out.copy(w, 0, w.length) }`
    case "bytes":
      return "raw(out, v);"
    case "json":
      return "text(out, json(v));"
    case "int64":
    case "datetime":
      return "int64(out, v);"
    case "bigint":
      return "big(out, v);"
    case "int32":
      return "out.reserve(4); out.view.setInt32(out.length, v, true); out.length += 4;"
    case "float64":
      return "out.reserve(8); out.view.setFloat64(out.length, v, true); out.length += 8;"
    case "float32":
      return "out.reserve(4); out.view.setFloat32(out.length, v, true); out.length += 4;"
    case "bool":
      return "out.u8(v ? 1 : 0);"
    case "array":
      return `{ const a = v ?? []; out.varint(a.length); for (let v of a) { ${valueSource(type.items, `${id}_`, bound)} } }`
    case "map":
      return `{ const a = Object.entries(v ?? {}); out.varint(a.length); for (let [k, v] of a) { text(out, k); ${valueSource(type.values, `${id}_`, bound)} } }`
  }
}

const utf8 = new TextEncoder()

const prefixed = (word: string): Uint8Array => {
  const bytes = utf8.encode(word)
  const size: number[] = []
  let rest = bytes.length
  for (; rest >= 128; rest = Math.floor(rest / 128)) size.push((rest % 128) | 128)
  return Uint8Array.of(...size, rest, ...bytes)
}

/** Short ASCII is written byte by byte; everything else by the encoder. */
const text = (out: ByteWriter, value: string): void => {
  const length = value.length
  if (length > 64) {
    raw(out, utf8.encode(value))
    return
  }
  const before = out.length
  out.varint(length)
  out.reserve(length)
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i)
    if (code > 127) {
      out.length = before
      raw(out, utf8.encode(value))
      return
    }
    out.bytes[out.length++] = code
  }
}

const raw = (out: ByteWriter, value: Uint8Array): void => {
  out.varint(value.length)
  out.copy(value, 0, value.length)
}

/** A safe integer as 64 bits, without a bigint. */
const int64 = (out: ByteWriter, value: number): void => {
  out.reserve(8)
  const high = Math.floor(value / 0x1_0000_0000)
  out.view.setUint32(out.length, value - high * 0x1_0000_0000, true)
  out.view.setInt32(out.length + 4, high, true)
  out.length += 8
}

const big = (out: ByteWriter, value: bigint): void => {
  out.reserve(8)
  out.view.setBigInt64(out.length, value, true)
  out.length += 8
}

/** Integers beyond what a double holds as digits in a string, bytes as base64. */
const json = (value: unknown): string => JSON.stringify(value, plain)
const plain = (_key: string, value: unknown): unknown => {
  if (typeof value === "bigint") return value.toString()
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value
}
