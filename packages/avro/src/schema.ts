/** An Avro schema as its JSON says it. */
export type AvroJson = string | readonly AvroJson[] | { readonly [key: string]: unknown }

/** The kinds without structure. */
export type Primitive = "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string"

interface Named {
  /** With namespace. */
  readonly name: string
  readonly aliases: readonly string[]
}
export interface PrimitiveType {
  readonly kind: Primitive
  /** A long that is a `bigint` in JavaScript; the derived schema says so, other schemas mean `number`. */
  readonly bigint: boolean
}
export interface EnumType extends Named {
  readonly kind: "enum"
  readonly symbols: readonly string[]
  readonly default: string | undefined
}
export interface FixedType extends Named {
  readonly kind: "fixed"
  readonly size: number
}
export interface ArrayType {
  readonly kind: "array"
  readonly items: AvroType
}
export interface MapType {
  readonly kind: "map"
  readonly values: AvroType
}
export interface UnionType {
  readonly kind: "union"
  readonly branches: readonly AvroType[]
}
export interface Field {
  readonly name: string
  readonly aliases: readonly string[]
  readonly type: AvroType
  /** The default as JSON; undefined when there is none (JSON knows no undefined). */
  readonly default: unknown
  /** A null on the wire is `undefined` in JavaScript: the field is optional, not nullable. */
  readonly optional: boolean
}
export interface RecordType extends Named {
  readonly kind: "record"
  readonly fields: readonly Field[]
}
/** A schema with its names resolved; recursive schemas are cyclic. */
export type AvroType = PrimitiveType | EnumType | FixedType | ArrayType | MapType | UnionType | RecordType

/** The attribute by which a derived schema keeps what Avro cannot say; see `published`. */
export const HINT = "headrace"

const PRIMITIVES = new Set(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])

type Json = { readonly [key: string]: unknown }
interface Scope {
  readonly names: Map<string, AvroType>
  readonly namespace: string
}

/**
 * Resolves the names of a schema that avsc has accepted. Called once for each schema. Throws TypeError where the JSON
 * is no Avro schema.
 */
export const parse = (json: AvroJson): AvroType => parseIn(json, { names: new Map(), namespace: "" })

const parseIn = (json: unknown, scope: Scope): AvroType => {
  if (typeof json === "string") return reference(json, scope)
  if (Array.isArray(json)) return { kind: "union", branches: json.map(branch => parseIn(branch, scope)) }
  if (typeof json === "object" && json !== null) return parseObject(json as Json, scope)
  throw new TypeError(`not an Avro schema: ${JSON.stringify(json)}`)
}

const reference = (name: string, scope: Scope): AvroType => {
  if (PRIMITIVES.has(name)) return { kind: name as Primitive, bigint: false }
  const found = scope.names.get(qualify(name, scope.namespace)) ?? scope.names.get(name)
  if (found === undefined) throw new TypeError(`undefined Avro type ${name}`)
  return found
}

const parseObject = (json: Json, scope: Scope): AvroType => {
  switch (json.type) {
    case "record":
    case "error":
      return parseRecord(json, scope)
    case "enum":
      return define(json, scope, named => ({
        ...named,
        kind: "enum",
        symbols: json.symbols as string[],
        default: json.default as string | undefined
      }))
    case "fixed":
      return define(json, scope, named => ({ ...named, kind: "fixed", size: json.size as number }))
    case "array":
      return { kind: "array", items: parseIn(json.items, scope) }
    case "map":
      return { kind: "map", values: parseIn(json.values, scope) }
    case "long":
      return { kind: "long", bigint: json[HINT] === "bigint" }
    default:
      return parseIn(json.type, scope)
  }
}

const parseRecord = (json: Json, scope: Scope): AvroType => {
  const fields: Field[] = []
  const record = define(json, scope, named => ({ ...named, kind: "record", fields }))
  const inner = { names: scope.names, namespace: namespaceOf((record as RecordType).name) }
  for (const field of json.fields as Json[]) fields.push(parseField(field, inner))
  return record
}

const parseField = (json: Json, scope: Scope): Field => ({
  name: json.name as string,
  aliases: (json.aliases as string[] | undefined) ?? [],
  type: parseIn(json.type, scope),
  default: json.default,
  optional: json[HINT] === "optional"
})

const define = (json: Json, scope: Scope, make: (named: Named) => AvroType): AvroType => {
  const namespace = typeof json.namespace === "string" ? json.namespace : scope.namespace
  const name = qualify(json.name as string, namespace)
  const aliases = ((json.aliases as string[] | undefined) ?? []).map(alias => qualify(alias, namespaceOf(name)))
  const type = make({ name, aliases })
  scope.names.set(name, type)
  return type
}

const qualify = (name: string, namespace: string): string =>
  name.includes(".") || namespace === "" ? name : `${namespace}.${name}`
const namespaceOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf(".")))

/** The name without its namespace: what schema resolution compares. */
export const unqualified = (name: string): string => name.slice(name.lastIndexOf(".") + 1)

/** Whether a reader's named type may read what a writer's named type wrote. */
export const sameName = (reader: Named, writer: Named): boolean =>
  [reader.name, ...reader.aliases].some(name => unqualified(name) === unqualified(writer.name))

/** The fewest bytes that a value takes; 0 for null and what is made of nulls. Bounds how many items can be there. */
export const minimumSize = (type: AvroType, seen: ReadonlySet<AvroType> = new Set()): number => {
  if (type.kind === "null") return 0
  if (type.kind === "fixed") return type.size
  if (type.kind === "float") return 4
  if (type.kind === "double") return 8
  if (type.kind !== "record" || seen.has(type)) return 1
  const inside = new Set([...seen, type])
  return type.fields.reduce((sum, field) => sum + minimumSize(field.type, inside), 0)
}

/** How values lie on the wire and what their parts are called: equal shapes can be copied as bytes. */
export const shape = (type: AvroType, path: readonly AvroType[] = []): string => {
  const inner = [...path, type]
  switch (type.kind) {
    case "enum":
      return `enum(${type.symbols.join()})`
    case "fixed":
      return `fixed(${type.size})`
    case "array":
      return `array(${shape(type.items, inner)})`
    case "map":
      return `map(${shape(type.values, inner)})`
    case "union":
      return `union(${type.branches.map(branch => shape(branch, inner)).join("|")})`
    case "record":
      return path.includes(type)
        ? `up(${path.length - path.indexOf(type)})`
        : `record(${type.fields.map(field => `${field.name}:${shape(field.type, inner)}`).join()})`
    default:
      return type.kind
  }
}

/** The derived schema as others shall see it: without Headrace's hints. What is registered. */
export const published = (json: AvroJson): AvroJson => strip(json) as AvroJson

const strip = (json: unknown): unknown => {
  if (Array.isArray(json)) return json.map(strip)
  if (typeof json !== "object" || json === null) return json
  const kept = Object.entries(json).filter(([key]) => key !== HINT)
  if (kept.length === 1 && json && "type" in json && typeof json.type === "string") return json.type
  return Object.fromEntries(kept.map(([key, value]) => [key, key === "default" ? value : strip(value)]))
}

/** A field's default as the JavaScript value that the getter gives. A fresh one at each call. */
export const defaultValue = (type: AvroType, json: unknown): unknown => {
  switch (type.kind) {
    case "long":
      return type.bigint ? BigInt(json as number) : json
    case "bytes":
    case "fixed":
      return Uint8Array.from(json as string, char => char.charCodeAt(0))
    case "array":
      return (json as unknown[]).map(item => defaultValue(type.items, item))
    case "map":
      return Object.fromEntries(
        Object.entries(json as Json).map(([key, value]) => [key, defaultValue(type.values, value)])
      )
    case "union":
      return defaultValue(type.branches[0]!, json)
    case "record":
      return recordDefault(type, json as Json)
    default:
      return json
  }
}

const recordDefault = (type: RecordType, json: Json): unknown =>
  Object.fromEntries(
    type.fields.map(field => {
      const value = defaultValue(field.type, json[field.name] === undefined ? field.default : json[field.name])
      return [field.name, value === null && field.optional ? undefined : value]
    })
  )
