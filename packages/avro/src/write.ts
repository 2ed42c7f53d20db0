import type { ByteWriter } from "@headrace/core"
import { Misfit, misfit, within } from "./misfit.ts"
import { type AvroType, defaultValue, type Field, type FixedType, type RecordType, unqualified } from "./schema.ts"

/**
 * Writing Avro's atoms. Each writer makes its own room, checks its value's type and throws a Misfit where it does
 * not fit.
 */
const writeLong = (value: unknown, out: ByteWriter): void => {
  if (!Number.isSafeInteger(value)) misfit("an integer within ±2^53 (long)", value)
  writeInteger(value as number, out)
}

const writeInt = (value: unknown, out: ByteWriter): void => {
  if (typeof value !== "number" || value !== (value | 0)) misfit("an integer of 32 bits (int)", value)
  writeInteger(value as number, out)
}

/** Zigzag, then seven bits a byte. */
const writeInteger = (value: number, out: ByteWriter): void => {
  out.reserve(10)
  const magnitude = value < 0 ? -value - 1 : value
  const first = (magnitude % 64) * 2 + (value < 0 ? 1 : 0)
  const rest = Math.floor(magnitude / 64)
  if (rest === 0) {
    out.bytes[out.length++] = first
    return
  }
  out.bytes[out.length++] = first | 128
  out.varint(rest)
}

const writeBigInt = (value: unknown, out: ByteWriter): void => {
  if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) misfit("a bigint of 64 bits (long)", value)
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  out.reserve(10)
  while (rest > 127n) {
    out.bytes[out.length++] = Number(rest & 127n) | 128
    rest >>= 7n
  }
  out.bytes[out.length++] = Number(rest)
}

const writeFloat = (value: unknown, out: ByteWriter): void => {
  if (typeof value !== "number") misfit("a number (float)", value)
  out.reserve(4)
  out.view.setFloat32(out.length, value as number, true)
  out.length += 4
}

const writeDouble = (value: unknown, out: ByteWriter): void => {
  if (typeof value !== "number") misfit("a number (double)", value)
  out.reserve(8)
  out.view.setFloat64(out.length, value as number, true)
  out.length += 8
}

const writeBoolean = (value: unknown, out: ByteWriter): void => {
  if (typeof value !== "boolean") misfit("a boolean", value)
  out.u8(value === true ? 1 : 0)
}

const LONGEST_INLINE = 63
const encoder = new TextEncoder()

/** Short ASCII text, the common case, is copied by character; its length then takes one byte. */
export const writeString = (value: unknown, out: ByteWriter): void => {
  if (typeof value !== "string") misfit("a string", value)
  const size = value.length
  if (size > LONGEST_INLINE || !writeAscii(value, size, out)) writeText(value, out)
}

const writeAscii = (value: string, size: number, out: ByteWriter): boolean => {
  out.reserve(size + 1)
  const bytes = out.bytes
  let p = out.length
  bytes[p++] = size * 2
  for (let i = 0; i < size; i++) {
    const code = value.charCodeAt(i)
    if (code > 127) return false
    bytes[p++] = code
  }
  out.length = p
  return true
}

/** Any text. Half a surrogate pair becomes U+FFFD. */
const writeText = (value: string, out: ByteWriter): void => {
  const size = byteLength(value)
  out.reserve(size + 10)
  writeInteger(size, out)
  encoder.encodeInto(value, out.bytes.subarray(out.length, out.length + size))
  out.length += size
}

const byteLength = (value: string): number => {
  let size = 0
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code < 0x80) size += 1
    else if (code < 0x800) size += 2
    else if (isPair(value, code, i)) {
      size += 4
      i++
    } else size += 3
  }
  return size
}

const isPair = (value: string, code: number, i: number): boolean =>
  code >= 0xd800 && code < 0xdc00 && (value.charCodeAt(i + 1) & 0xfc00) === 0xdc00

const writeBytes = (value: unknown, out: ByteWriter): void => {
  if (!(value instanceof Uint8Array)) misfit("a Uint8Array (bytes)", value)
  writeInteger(value.length, out)
  out.copy(value, 0, value.length)
}

const writeFixed = ({ size }: FixedType, value: unknown, out: ByteWriter): void => {
  if (!(value instanceof Uint8Array)) misfit(`a Uint8Array of ${size} bytes`, value)
  if (value.length !== size) throw new Misfit(`a Uint8Array of ${size} bytes`, `one of ${value.length}`)
  out.copy(value, 0, size)
}

const writeSymbol = (symbols: readonly string[], value: unknown, out: ByteWriter): void => {
  const index = symbols.indexOf(value as string)
  if (index === -1) misfit(`one of ${symbols.join(", ")}`, value)
  writeInteger(index, out)
}

/** Writes a value of any type. Nested values come here; a record's own fields have code of their own. */
export const write = (type: AvroType, value: unknown, out: ByteWriter): void => {
  switch (type.kind) {
    case "null":
      if (value !== null && value !== undefined) misfit("null", value)
      break
    case "boolean":
      writeBoolean(value, out)
      break
    case "int":
      writeInt(value, out)
      break
    case "long":
      if (type.bigint) writeBigInt(value, out)
      else writeLong(value, out)
      break
    case "float":
      writeFloat(value, out)
      break
    case "double":
      writeDouble(value, out)
      break
    case "string":
      writeString(value, out)
      break
    case "bytes":
      writeBytes(value, out)
      break
    case "enum":
      writeSymbol(type.symbols, value, out)
      break
    case "fixed":
      writeFixed(type, value, out)
      break
    case "array":
      writeArray(type.items, value, out)
      break
    case "map":
      writeMap(type.values, value, out)
      break
    case "union":
      writeUnion(type.branches, value, out)
      break
    case "record":
      writeRecord(type, value, out)
      break
  }
}

const writeArray = (item: AvroType, value: unknown, out: ByteWriter): void => {
  if (!Array.isArray(value)) misfit("an array", value)
  if (value.length > 0) writeInteger(value.length, out)
  for (let i = 0; i < value.length; i++) writePart(item, value[i], `[${i}]`, out)
  out.u8(0)
}

const writeMap = (values: AvroType, value: unknown, out: ByteWriter): void => {
  if (!isMap(value)) misfit("an object (map)", value)
  const keys = Object.keys(value)
  if (keys.length > 0) writeInteger(keys.length, out)
  for (const key of keys) {
    writeString(key, out)
    writePart(values, value[key], key, out)
  }
  out.u8(0)
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

const writePart = (type: AvroType, value: unknown, part: string, out: ByteWriter): void => {
  try {
    write(type, value, out)
  } catch (error) {
    throw within(part, error)
  }
}

const writeRecord = (type: RecordType, value: unknown, out: ByteWriter): void => {
  if (!isMap(value)) misfit(`an object (record ${unqualified(type.name)})`, value)
  for (const field of type.fields) writeField(field, value[field.name], out)
}

/** A field that the record lacks gets its default. */
export const writeField = (field: Field, value: unknown, out: ByteWriter): void => {
  const missing = value === undefined && field.default !== undefined
  if (missing) writeDefault(field, out)
  else writePart(field.type, value, field.name, out)
}

/** A union's default is of its first branch. */
const writeDefault = ({ type, default: json }: Field, out: ByteWriter): void => {
  const first = type.kind === "union" ? type.branches[0]! : type
  if (first !== type) writeInteger(0, out)
  write(first, defaultValue(first, json), out)
}

const writeUnion = (branches: readonly AvroType[], value: unknown, out: ByteWriter): void => {
  const index = branches.findIndex(branch => fits(branch, value))
  if (index === -1) misfit(`one of ${branches.map(branch => branch.kind).join(", ")}`, value)
  writeInteger(index, out)
  write(branches[index]!, value, out)
}

/** Whether a union's value means this branch. Records are told apart by their one-symbol enums (tags) and fields. */
export const fits = (type: AvroType, value: unknown): boolean => {
  switch (type.kind) {
    case "null":
      return value === null || value === undefined
    case "boolean":
    case "string":
      return typeof value === type.kind
    case "int":
      return typeof value === "number" && value === (value | 0)
    case "long":
      return type.bigint ? typeof value === "bigint" : Number.isSafeInteger(value)
    case "float":
    case "double":
      return typeof value === "number"
    case "enum":
      return type.symbols.includes(value as string)
    case "bytes":
      return value instanceof Uint8Array
    case "fixed":
      return value instanceof Uint8Array && value.length === type.size
    case "array":
      return Array.isArray(value)
    case "map":
      return isMap(value)
    case "record":
      return isMap(value) && type.fields.every(field => fieldFits(field, value[field.name]))
    case "union":
      return type.branches.some(branch => fits(branch, value))
  }
}

const fieldFits = ({ type, default: json }: Field, value: unknown): boolean => {
  if (value === undefined) return json !== undefined || (type.kind === "union" && fits(type, value))
  return type.kind === "enum" && type.symbols.length === 1 ? value === type.symbols[0] : true
}
