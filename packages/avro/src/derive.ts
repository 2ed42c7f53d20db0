import { Schema, SchemaAST } from "effect"
import { annotationOf, isInteger, representationOf } from "headrace"
import { ALIASES, DEFAULT, NAME, TYPE } from "./annotations.ts"
import { type AvroJson, HINT } from "./schema.ts"

/** An Effect Schema has a part that Avro cannot hold. `path` leads to it: `Payment.items[].price`. */
export class DeriveError extends Schema.TaggedError<DeriveError>()("DeriveError", {
  path: Schema.String,
  message: Schema.String
}) {}

type Ast = SchemaAST.AST
interface Place {
  readonly path: string
  /** The name of a record or enum here that has none of its own. */
  readonly name: string
  readonly defined: Map<string, Ast>
}

/**
 * The Avro schema of a record schema's `Type`. `name` is the record's name where the schema has no identifier. Called
 * once for each source and sink. Throws DeriveError.
 */
export const derive = (schema: Schema.Top, name: string): AvroJson => {
  const ast = SchemaAST.toType(schema.ast)
  const place = { path: identifier(ast) ?? name, name: name.replaceAll(/[^A-Za-z0-9_]/g, "_"), defined: new Map() }
  const json = typeOf(ast, place)
  if (objectOf(ast) === undefined || !isRecord(json)) unsupported(place, "a topic's records need a struct or class")
  return json
}

const isRecord = (json: AvroJson): boolean => typeof json === "object" && "type" in json && json.type === "record"

const unsupported = (place: Place, what: string): never => {
  throw new DeriveError({ path: place.path, message: `no Avro type for ${place.path}: ${what}` })
}

const typeOf = (ast: Ast, place: Place): AvroJson => {
  const named = annotationOf<string>(ast, TYPE)
  if (named !== undefined) return annotated(named, ast, place)
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
      return "string"
    case "Number":
      return isInteger(ast) ? "long" : "double"
    case "Boolean":
      return "boolean"
    case "BigInt":
      return { type: "long", [HINT]: "bigint" }
    case "Null":
      return "null"
    case "Literal":
      return literals([ast.literal], ast, place)
    case "Enum":
      return literals(
        ast.enums.map(([, value]) => value),
        ast,
        place
      )
    case "Arrays":
      return arrayOf(ast, place)
    case "Objects":
    case "Declaration":
      return structure(ast, place)
    case "Union":
      return unionOf(ast, place)
    case "Suspend":
      return unsupported(place, "it is recursive; flatten it, or keep the deep part as a JSON string")
    default:
      return unsupported(place, `${ast._tag} says nothing about its values; name a concrete schema`)
  }
}

const NUMERIC = new Set(["int", "long", "float", "timestamp-millis"])

const annotated = (type: string, ast: Ast, place: Place): AvroJson => {
  const members = ast._tag === "Union" ? ast.types : [ast]
  const absent = members.filter(isAbsent)
  const rest = members.filter(member => !isAbsent(member))
  const number = rest.every(member => member._tag === "Number" || typeof literalOf(member) === "number")
  const text = rest.every(member => member._tag === "String" || typeof literalOf(member) === "string")
  if (NUMERIC.has(type) ? !number : !text)
    unsupported(place, `Avro.${type} does not fit ${rest.map(m => m._tag).join(" | ")}`)
  const json: AvroJson = type === "timestamp-millis" ? { type: "long", logicalType: type } : type
  return absent.length > 0 ? ["null", json] : json
}

const literalOf = (ast: Ast): unknown => (ast._tag === "Literal" ? ast.literal : undefined)
const isAbsent = (ast: Ast): boolean => ast._tag === "Null" || ast._tag === "Undefined"

const SYMBOL = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Literals: strings become an enum, numbers and booleans what holds them. */
const literals = (values: readonly unknown[], ast: Ast, place: Place): AvroJson => {
  if (values.every(value => typeof value === "boolean")) return "boolean"
  if (values.every(value => typeof value === "number")) return values.every(Number.isSafeInteger) ? "long" : "double"
  if (!values.every(value => typeof value === "string")) return unsupported(place, "its literals are of several kinds")
  const odd = (values as string[]).find(value => !SYMBOL.test(value))
  if (odd !== undefined)
    unsupported(place, `"${odd}" cannot be an enum's symbol (letters, digits, _); annotate it with Avro.string`)
  return define(ast, place, name => ({ type: "enum", name, symbols: [...new Set(values as string[])] }))
}

const arrayOf = (ast: SchemaAST.Arrays, place: Place): AvroJson => {
  const item = ast.rest[0]
  if (ast.elements.length > 0 || ast.rest.length !== 1 || item === undefined) {
    return unsupported(place, "it is a tuple; make it a struct with a name for each element")
  }
  return { type: "array", items: typeOf(item, { ...place, path: `${place.path}[]`, name: `${place.name}_item` }) }
}

const BYTES = "effect/schema/Uint8Array"
const DATES = new Set(["effect/schema/Date", "effect/schema/DateTimeUtc", "effect/schema/DateTimeZoned"])

const structure = (ast: SchemaAST.Objects | SchemaAST.Declaration, place: Place): AvroJson => {
  const kind = representationOf(ast)
  if (kind === BYTES) return "bytes"
  if (kind !== undefined && DATES.has(kind)) {
    return unsupported(place, "dates are objects; take milliseconds: Schema.Int.annotate(Avro.timestampMillis)")
  }
  const object = objectOf(ast)
  if (object === undefined)
    return unsupported(place, `${kind ?? "this class"} has no Avro form; use a struct of its parts`)
  return object.indexSignatures.length > 0 ? mapOf(object, place) : recordOf(ast, object, place)
}

/** The struct behind a struct or a Schema.Class. */
const objectOf = (ast: Ast): SchemaAST.Objects | undefined => {
  if (ast._tag === "Objects") return ast
  if (ast._tag !== "Declaration" || ast.annotations?.["~constructor"] === undefined) return undefined
  const inner = ast.typeParameters[0]
  return inner?._tag === "Objects" ? inner : undefined
}

const mapOf = (ast: SchemaAST.Objects, place: Place): AvroJson => {
  const [signature, ...more] = ast.indexSignatures
  if (
    signature === undefined ||
    more.length > 0 ||
    ast.propertySignatures.length > 0 ||
    signature.parameter._tag !== "String"
  ) {
    return unsupported(place, "a map has string keys and nothing but them; put fixed fields into a struct beside it")
  }
  return {
    type: "map",
    values: typeOf(signature.type, { ...place, path: `${place.path}{}`, name: `${place.name}_value` })
  }
}

const recordOf = (ast: Ast, object: SchemaAST.Objects, place: Place): AvroJson =>
  define(ast, place, name => ({
    type: "record",
    name,
    fields: object.propertySignatures.map(property => fieldOf(property, name, place))
  }))

const fieldOf = ({ name, type }: SchemaAST.PropertySignature, record: string, place: Place): AvroJson => {
  const inner = {
    ...place,
    path: `${place.path}.${String(name)}`,
    name: `${record.replaceAll(".", "_")}_${String(name)}`
  }
  if (typeof name !== "string" || !SYMBOL.test(name))
    return unsupported(inner, "a field's name has letters, digits and _ only")
  const json = orAbsent(typeOf(type, inner), SchemaAST.isOptional(type))
  const aliases = annotationOf<readonly string[]>(type, ALIASES)
  return {
    name,
    type: json,
    ...defaultOf(json, type),
    ...(aliases && { aliases }),
    ...(isMaybe(type) && { [HINT]: "optional" })
  }
}

const isNullable = (json: AvroJson): boolean => Array.isArray(json) && json.includes("null")

const orAbsent = (json: AvroJson, optional: boolean): AvroJson =>
  !optional || isNullable(json) ? json : ["null", ...(Array.isArray(json) ? json : [json])]

/** Whether its absence is undefined rather than null. */
const isMaybe = (ast: Ast): boolean =>
  SchemaAST.isOptional(ast) || (ast._tag === "Union" && ast.types.some(SchemaAST.isUndefined))

const defaultOf = (json: AvroJson, ast: Ast): { readonly default?: unknown } => {
  const given = annotationOf<unknown>(ast, DEFAULT)
  if (given !== undefined) return { default: given }
  return isNullable(json) ? { default: null } : {}
}

/** Null comes first, since a union's default is of its first branch. */
const unionOf = (ast: SchemaAST.Union, place: Place): AvroJson => {
  const members = flatten(ast)
  const rest = members.filter(member => !isAbsent(member))
  const branches = branchesOf(rest, ast, place)
  const all = rest.length < members.length ? ["null", ...branches] : branches
  return all.length === 1 ? all[0]! : all
}

const flatten = (ast: Ast): readonly Ast[] =>
  ast._tag === "Union" && annotationOf(ast, TYPE) === undefined ? ast.types.flatMap(flatten) : [ast]

const branchesOf = (members: readonly Ast[], ast: Ast, place: Place): readonly AvroJson[] => {
  const values = members.flatMap(member => (member._tag === "Literal" ? [member.literal] : []))
  if (values.length > 0 && values.length === members.length) return [literals(values, ast, place)]
  const branches = members.map((member, i) =>
    typeOf(member, members.length > 1 ? branchPlace(member, i, place) : place)
  )
  const unnamed = branches.filter(branch => !isNamed(branch)).map(kindOf)
  if (new Set(unnamed).size < unnamed.length)
    unsupported(place, `Avro cannot tell ${unnamed.join(" and ")} apart in a union`)
  return branches
}

/** A tagged struct is called by its tag, so that its name does not depend on its place in the union. */
const branchPlace = (member: Ast, i: number, place: Place): Place => {
  const tag = objectOf(member)?.propertySignatures.find(({ name }) => name === "_tag")?.type
  const suffix = tag?._tag === "Literal" ? String(tag.literal) : String(i + 1)
  return { ...place, name: `${place.name}_${suffix}`, path: `${place.path}|${suffix}` }
}

const kindOf = (json: AvroJson): unknown => (typeof json === "object" && "type" in json ? json.type : json)
const isNamed = (json: AvroJson): boolean => (typeof json === "string" ? !BUILT_IN.has(json) : "name" in json)
const BUILT_IN = new Set(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])

/** Defines a named type at its first place and refers to it at the others. */
const define = (ast: Ast, place: Place, make: (name: string) => AvroJson): AvroJson => {
  const name = annotationOf<string>(ast, NAME) ?? identifier(ast) ?? place.name
  if (!name.split(".").every(part => SYMBOL.test(part)))
    unsupported(place, `"${name}" is no Avro name; give one by Avro.name`)
  const known = place.defined.get(name)
  if (known === ast) return name
  if (known !== undefined)
    unsupported(place, `two different types are called ${name}; give one another name by Avro.name`)
  place.defined.set(name, ast)
  return make(name)
}

const identifier = (ast: Ast): string | undefined => annotationOf<string>(ast, "identifier")
