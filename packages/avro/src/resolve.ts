import { DecodeError } from "@headrace/core"
import {
  type AvroType,
  type EnumType,
  type Field,
  minimumSize,
  type RecordType,
  sameName,
  unqualified
} from "./schema.ts"

/** How to read what one writer's type wrote as a reader's type: Avro's schema resolution, done once. */
export type Plan =
  /** `varint` is a number that nobody reads, `approximate` an int or long as float or double. */
  | { readonly op: "null" | "boolean" | "int" | "long" | "varint" | "approximate" | "bigint" }
  | { readonly op: "float" | "double" | "string" | "bytes" }
  | EnumPlan
  | { readonly op: "fixed"; readonly size: number }
  | { readonly op: "array"; readonly items: Plan; readonly least: number }
  | { readonly op: "map"; readonly values: Plan; readonly least: number }
  | { readonly op: "union"; readonly branches: readonly Plan[] }
  | RecordPlan

export interface EnumPlan {
  readonly op: "enum"
  /** The reader's symbols; `table` leads from the writer's index to theirs. */
  readonly symbols: readonly string[]
  readonly table: readonly number[]
}
export interface RecordPlan {
  readonly op: "record"
  /** The reader; undefined where the record is skipped. */
  readonly reader: RecordType | undefined
  /** The writer's fields in order; `field` is the reader's index, -1 where the reader has none. */
  readonly steps: readonly { readonly plan: Plan; readonly field: number }[]
  /** Fields of the reader that the writer did not write. */
  readonly missing: readonly number[]
}

type Known = Map<AvroType, Map<AvroType | undefined, Plan>>

/** Throws DecodeError Incompatible, which names the place, where the reader cannot read what the writer writes. */
export const resolve = (writer: AvroType, reader: AvroType): Plan => pair(writer, reader, [], new Map())

const incompatible = (path: readonly string[], why: string): never => {
  const place = path.length === 0 ? "the record" : `field ${path.join(".")}`
  throw new DecodeError("Incompatible", `${place}: ${why}`)
}

const pair = (writer: AvroType, reader: AvroType, path: readonly string[], known: Known): Plan => {
  if (writer.kind === "union") return fromUnion(writer.branches, reader, path, known)
  if (reader.kind === "union") return intoUnion(writer, reader.branches, path, known)
  if (writer.kind === "record" && reader.kind === "record") return records(writer, reader, path, known)
  if (writer.kind === "enum" && reader.kind === "enum") return enums(writer, reader, path)
  if (writer.kind === "array" && reader.kind === "array") {
    return {
      op: "array",
      items: pair(writer.items, reader.items, [...path, "[]"], known),
      least: minimumSize(writer.items)
    }
  }
  if (writer.kind === "map" && reader.kind === "map") {
    return {
      op: "map",
      values: pair(writer.values, reader.values, [...path, "{}"], known),
      least: minimumSize(writer.values)
    }
  }
  if (writer.kind === "fixed" && reader.kind === "fixed" && writer.size === reader.size && sameName(reader, writer)) {
    return { op: "fixed", size: writer.size }
  }
  return primitive(writer, reader) ?? incompatible(path, `${name(writer)} cannot be read as ${name(reader)}`)
}

/** Every branch must be readable, as avsc has it: what cannot be read is found at once and not in production. */
const fromUnion = (branches: readonly AvroType[], reader: AvroType, path: readonly string[], known: Known): Plan => ({
  op: "union",
  branches: branches.map(branch => pair(branch, reader, path, known))
})

/** The branch of the writer's own kind is preferred to an earlier one by promotion: what was a string stays one. */
const intoUnion = (writer: AvroType, branches: readonly AvroType[], path: readonly string[], known: Known): Plan => {
  const own = branches.filter(branch => sameType(writer, branch))
  for (const branch of [...own, ...branches]) {
    const plan = attempt(writer, branch, path, known)
    if (plan !== undefined) return plan
  }
  return incompatible(path, `${name(writer)} can be read as none of ${branches.map(name).join(", ")}`)
}

const sameType = (writer: AvroType, reader: AvroType): boolean =>
  writer.kind === reader.kind && (!("name" in writer) || ("name" in reader && sameName(reader, writer)))

const attempt = (writer: AvroType, reader: AvroType, path: readonly string[], known: Known): Plan | undefined => {
  const tried: Known = new Map([...known].map(([key, plans]) => [key, new Map(plans)]))
  try {
    return pair(writer, reader, path, tried)
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

const primitive = (writer: AvroType, reader: AvroType): Plan | undefined => {
  const from = writer.kind
  switch (reader.kind) {
    case "null":
    case "boolean":
    case "int":
      return from === reader.kind ? { op: reader.kind } : undefined
    case "long":
      return from === "long" || from === "int" ? { op: reader.bigint ? "bigint" : from } : undefined
    case "float":
    case "double":
      if (from === "int" || from === "long") return { op: "approximate" }
      return from === reader.kind || from === "float" ? { op: from } : undefined
    case "string":
    case "bytes":
      return from === "string" || from === "bytes" ? { op: reader.kind } : undefined
    default:
      return undefined
  }
}

const enums = (writer: EnumType, reader: EnumType, path: readonly string[]): Plan => {
  if (!sameName(reader, writer)) incompatible(path, otherName("enum", writer.name, reader.name))
  const fallback = reader.default === undefined ? -1 : reader.symbols.indexOf(reader.default)
  const table = writer.symbols.map(symbol => {
    const index = reader.symbols.indexOf(symbol)
    return index === -1 ? fallback : index
  })
  const unknown = writer.symbols.filter((_, i) => table[i] === -1)
  if (unknown.length > 0) incompatible(path, `the writer's ${unknown.join(", ")} is no symbol of enum ${reader.name}`)
  return { op: "enum", symbols: reader.symbols, table }
}

const otherName = (kind: string, writer: string, reader: string): string =>
  `the writer's ${kind} is called ${unqualified(writer)}, the reader's ${unqualified(reader)}: name it by Avro.name`

const records = (writer: RecordType, reader: RecordType, path: readonly string[], known: Known): Plan => {
  const plan = remembered(known, writer, reader)
  if (plan !== undefined) return plan
  if (!sameName(reader, writer)) incompatible(path, otherName("record", writer.name, reader.name))
  const sources = reader.fields.map(field => sourceOf(field, writer, path))
  const steps: { plan: Plan; field: number }[] = []
  const missing = sources.flatMap((source, index) => (source === -1 ? [index] : []))
  const made = remember(known, writer, reader, { op: "record", reader, steps, missing })
  for (const [i, field] of writer.fields.entries()) steps.push(...readers(field, i, sources, reader, path, known))
  return made
}

/** The writer's index of what a reader's field reads, -1 where its default stands in. */
const sourceOf = (field: Field, writer: RecordType, path: readonly string[]): number => {
  const names = new Set([field.name, ...field.aliases])
  const found = writer.fields.flatMap((candidate, i) => (names.has(candidate.name) ? [i] : []))
  const place = [...path, field.name]
  if (found.length > 1) incompatible(place, "its aliases match several of the writer's fields")
  if (found.length === 0 && field.default === undefined)
    incompatible(place, "the writer has no such field, and it has no default")
  return found[0] ?? -1
}

const readers = (
  field: Field,
  index: number,
  sources: readonly number[],
  reader: RecordType,
  path: readonly string[],
  known: Known
) => {
  const wanted = sources.flatMap((source, i) => (source === index ? [i] : []))
  if (wanted.length > 1) incompatible([...path, field.name], "several of the reader's fields read it")
  const target = wanted[0]
  if (target === undefined) return [{ plan: skipping(field.type, known), field: -1 }]
  return [{ plan: pair(field.type, reader.fields[target]!.type, [...path, field.name], known), field: target }]
}

/** How to step over a value and check that it is one. */
export const skip = (writer: AvroType): Plan => skipping(writer, new Map())

const skipping = (writer: AvroType, known: Known): Plan => {
  switch (writer.kind) {
    case "int":
    case "long":
      return { op: "varint" }
    case "enum":
      return { op: "enum", symbols: writer.symbols, table: writer.symbols.map((_, i) => i) }
    case "fixed":
      return { op: "fixed", size: writer.size }
    case "array":
      return { op: "array", items: skipping(writer.items, known), least: minimumSize(writer.items) }
    case "map":
      return { op: "map", values: skipping(writer.values, known), least: minimumSize(writer.values) }
    case "union":
      return { op: "union", branches: writer.branches.map(branch => skipping(branch, known)) }
    case "record":
      return skippedRecord(writer, known)
    default:
      return { op: writer.kind }
  }
}

const skippedRecord = (writer: RecordType, known: Known): Plan => {
  const plan = remembered(known, writer, undefined)
  if (plan !== undefined) return plan
  const steps: { plan: Plan; field: number }[] = []
  const made = remember(known, writer, undefined, { op: "record", reader: undefined, steps, missing: [] })
  for (const field of writer.fields) steps.push({ plan: skipping(field.type, known), field: -1 })
  return made
}

const remembered = (known: Known, writer: AvroType, reader: AvroType | undefined): Plan | undefined =>
  known.get(writer)?.get(reader)

const remember = (known: Known, writer: AvroType, reader: AvroType | undefined, plan: Plan): Plan => {
  const plans = known.get(writer) ?? new Map<AvroType | undefined, Plan>()
  known.set(writer, plans.set(reader, plan))
  return plan
}

const name = (type: AvroType): string => ("name" in type ? `${type.kind} ${type.name}` : type.kind)
