import type { Shape, ShapeField } from "@headrace/core"
import { Schema, type SchemaAST } from "effect"
import { isInteger } from "./annotation.ts"

/**
 * What values of a schema look like as JSON, which is how state is stored: kept beside it, for another version of the
 * pipeline to compare. Called once for each state.
 */
export const shapeOf = (schema: Schema.Top): Shape => ofAst(Schema.toEncoded(Schema.toCodecJson(schema)).ast, [])

/** `above`: the trees that it stands in, from the outside. */
const ofAst = (ast: SchemaAST.AST, above: readonly SchemaAST.AST[]): Shape => {
  const at = above.indexOf(ast)
  if (at >= 0) return { up: above.length - at }
  const inside = (part: SchemaAST.AST): Shape => ofAst(part, [...above, ast])
  switch (ast._tag) {
    case "Suspend":
      return ofAst(ast.thunk(), above)
    case "String":
    case "TemplateLiteral":
      return "string"
    case "Number":
      return isInteger(ast) ? "integer" : "finite"
    case "Boolean":
      return "boolean"
    case "Null":
    case "Undefined":
    case "Void":
      return "null"
    case "Literal":
      return typeof ast.literal === "bigint" ? "string" : { literal: ast.literal }
    case "Union":
      return union(ast.types.map(inside))
    case "Arrays":
      return arrays(ast.elements.map(inside), ast.rest.map(inside))
    case "Objects":
      return objects(ast, inside)
    default:
      return "any"
  }
}

/** Numbers that may be NaN or infinite are a union with their names. */
const SPECIAL = ["Infinity", "-Infinity", "NaN"]

const union = (members: readonly Shape[]): Shape => {
  const flat = members.flatMap(one => (typeof one === "object" && "union" in one ? one.union : [one]))
  const distinct = [...new Map(flat.map(one => [JSON.stringify(one), one])).entries()].toSorted(([a], [b]) =>
    a < b ? -1 : 1
  )
  const shapes = distinct.map(([, one]) => one)
  const plain = shapes.filter(one => !isSpecial(one))
  const isNumber = shapes.length - plain.length === SPECIAL.length && plain.includes("finite")
  const all = isNumber ? plain.map(one => (one === "finite" ? "number" : one)) : shapes
  return all.length === 1 ? all[0]! : { union: all }
}

const isSpecial = (shape: Shape): boolean =>
  typeof shape === "object" && "literal" in shape && SPECIAL.includes(String(shape.literal))

const arrays = (elements: readonly Shape[], [rest]: readonly Shape[]): Shape => {
  if (elements.length === 0) return { list: rest ?? "any" }
  return rest === undefined ? { tuple: elements } : { tuple: elements, rest }
}

/** The order of fields says nothing. */
const objects = (
  { propertySignatures, indexSignatures }: Extract<SchemaAST.AST, { _tag: "Objects" }>,
  inside: (part: SchemaAST.AST) => Shape
): Shape => {
  const [index] = indexSignatures
  if (index !== undefined && propertySignatures.length === 0) return { map: inside(index.type) }
  const fields = propertySignatures.map(({ name, type }): [string, ShapeField] => {
    const shape = inside(type)
    return [String(name), type.context?.isOptional ? { shape, optional: true } : { shape }]
  })
  return { record: Object.fromEntries(fields.toSorted(([a], [b]) => (a < b ? -1 : 1))) }
}
