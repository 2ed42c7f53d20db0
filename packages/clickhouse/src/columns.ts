import { type Schema, SchemaAST } from "effect"
import { annotationOf, isInteger, representationOf } from "headrace"
import { ClickHouseError, NoColumn } from "./errors.ts"

/** A ClickHouse type as the row writer sees it. `json`: a String that holds the value as JSON. */
export type ColumnType =
  | {
      readonly kind:
        | "string"
        | "bytes"
        | "int64"
        | "bigint"
        | "int32"
        | "datetime"
        | "float64"
        | "float32"
        | "bool"
        | "json"
    }
  | { readonly kind: "enum"; readonly values: readonly string[] }
  | { readonly kind: "array"; readonly items: Value }
  | { readonly kind: "map"; readonly values: Value }
export interface Value {
  readonly type: ColumnType
  readonly nullable: boolean
}
export interface Column extends Value {
  readonly name: string
}

type Ast = SchemaAST.AST

/**
 * The columns of an event schema's `Type`, in its order: string → String, literals → LowCardinality(String), integers
 * → Int64, timestamp-millis → DateTime64(3), numbers → Float64, boolean → Bool, bytes → String, arrays → Array,
 * records of one type → Map(String, …), optional or null → Nullable. A nested struct and a union of several types
 * become a String with JSON. Arrays and maps cannot be Nullable in ClickHouse: absent is empty there.
 */
export const columnsOf = (schema: Schema.Top, table: string): readonly Column[] => {
  const struct = structOf(SchemaAST.toType(schema.ast))
  if (struct === undefined || struct.propertySignatures.length === 0)
    return unsupported(table, "a table's rows need a struct or class with at least one field")
  return struct.propertySignatures.map(({ name, type }) => {
    if (typeof name !== "string" || RESERVED.has(name))
      return unsupported(table, `the field ${String(name)} has a name that Headrace's own columns have; rename it`)
    const value = fieldValue(type, `${table}.${name}`)
    return { name, type: value.type, nullable: nullable(value.type, value.nullable || SchemaAST.isOptional(type)) }
  })
}

/** The columns by which an auditor finds each row's record. */
export const OWN_COLUMNS = ["_topic", "_partition", "_offset", "_timestamp"] as const
const RESERVED = new Set<string>(OWN_COLUMNS)

const unsupported = (table: string, message: string): never => {
  throw new ClickHouseError({ table, reason: new NoColumn({ message }) })
}

/** Neither Array nor Map can be inside Nullable. */
const nullable = (type: ColumnType, wanted: boolean): boolean => wanted && type.kind !== "array" && type.kind !== "map"

const fieldValue = (ast: Ast, path: string): Value => {
  const members = (ast._tag === "Union" ? flatten(ast) : [ast]) as readonly Ast[]
  const present = members.filter(member => member._tag !== "Null" && member._tag !== "Undefined")
  const type = annotatedType(ast) ?? typeOf(present, path)
  return { type, nullable: nullable(type, present.length < members.length) }
}

const flatten = (ast: Ast): readonly Ast[] => (ast._tag === "Union" ? ast.types.flatMap(flatten) : [ast])

const typeOf = (members: readonly Ast[], path: string): ColumnType => {
  const literals = members.flatMap(literalsOf)
  if (literals.length > 0 && literals.length >= members.length) return literalType(literals)
  const [only, ...more] = members
  if (only === undefined) return unsupported(path, "it is always null")
  if (more.length > 0) return { kind: "json" }
  return annotatedType(only) ?? plainType(only, path)
}

const literalsOf = (ast: Ast): readonly unknown[] =>
  ast._tag === "Literal" ? [ast.literal] : ast._tag === "Enum" ? ast.enums.map(([, value]) => value) : []

const literalType = (values: readonly unknown[]): ColumnType => {
  if (values.every(value => typeof value === "string"))
    return { kind: "enum", values: [...new Set(values as string[])] }
  if (values.every(value => typeof value === "boolean")) return { kind: "bool" }
  if (values.every(value => Number.isSafeInteger(value))) return { kind: "int64" }
  if (values.every(value => typeof value === "number")) return { kind: "float64" }
  return { kind: "json" }
}

const plainType = (ast: Ast, path: string): ColumnType => {
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
      return { kind: "string" }
    case "Number":
      return { kind: isInteger(ast) ? "int64" : "float64" }
    case "BigInt":
      return { kind: "bigint" }
    case "Boolean":
      return { kind: "bool" }
    case "Arrays":
      return ast.elements.length === 0 && ast.rest[0] !== undefined
        ? { kind: "array", items: fieldValue(ast.rest[0], `${path}[]`) }
        : { kind: "json" }
    case "Objects":
      return objectType(ast, path)
    case "Declaration":
      return representationOf(ast) === "effect/schema/Uint8Array" ? { kind: "bytes" } : { kind: "json" }
    default:
      return unsupported(path, `no column for ${ast._tag}; name a concrete schema`)
  }
}

const objectType = (ast: SchemaAST.Objects, path: string): ColumnType => {
  const [signature] = ast.indexSignatures
  return signature !== undefined && ast.propertySignatures.length === 0
    ? { kind: "map", values: fieldValue(signature.type, `${path}{}`) }
    : { kind: "json" }
}

/** The struct behind a struct or a Schema.Class. */
const structOf = (ast: Ast): SchemaAST.Objects | undefined => {
  if (ast._tag === "Objects") return ast
  const inner = ast._tag === "Declaration" ? ast.typeParameters[0] : undefined
  return inner?._tag === "Objects" ? inner : undefined
}

const ANNOTATED: Readonly<Record<string, ColumnType>> = {
  "timestamp-millis": { kind: "datetime" },
  int: { kind: "int32" },
  long: { kind: "int64" },
  float: { kind: "float32" },
  string: { kind: "string" }
}

/** What the wire format's annotation says about a number or string, see @headrace/avro's annotations. */
const annotatedType = (ast: Ast): ColumnType | undefined => {
  const found = annotationOf<unknown>(ast, "headrace/avro/type")
  return typeof found === "string" ? ANNOTATED[found] : undefined
}

const NAMES = {
  string: "String",
  bytes: "String",
  json: "String",
  int64: "Int64",
  bigint: "Int64",
  int32: "Int32",
  datetime: "DateTime64(3)",
  float64: "Float64",
  float32: "Float32",
  bool: "Bool"
} as const

/** The type as SQL: `LowCardinality(Nullable(String))`, `Array(Int64)`. */
const sqlType = ({ type, nullable }: Value): string => {
  const orNull = (name: string) => (nullable ? `Nullable(${name})` : name)
  if (type.kind === "enum") return `LowCardinality(${orNull("String")})`
  if (type.kind === "array") return `Array(${sqlType(type.items)})`
  if (type.kind === "map") return `Map(String, ${sqlType(type.values)})`
  return orNull(NAMES[type.kind])
}

const OWN_TYPES = ["LowCardinality(String)", "Int32", "Int64", "DateTime64(3)"] as const

/** All columns of a table with their SQL types, the event's first. */
export const allColumns = (columns: readonly Column[]): readonly (readonly [name: string, type: string])[] => [
  ...columns.map(column => [column.name, sqlType(column)] as const),
  ...OWN_COLUMNS.map((name, i) => [name, OWN_TYPES[i]!] as const)
]

export const quoteName = (name: string): string => `\`${name.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``
export const quoteText = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`
