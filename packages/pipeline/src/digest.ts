import type { StateSpec } from "@headrace/core"
import type { Schema, SchemaAST } from "effect"
import type { Node } from "./nodes.ts"
import type { Plan } from "./plan.ts"

/**
 * What a plan is built like, as 16 hexadecimal digits: nodes, their settings, the fields of their schemas; no text
 * of functions. Threads that import the same module must get the same one. Called once for each thread.
 */
export const digest = (plan: Plan): string => fnv64(JSON.stringify([plan.name, plan.nodes.map(structure)]))

const structure = (node: Node) =>
  Object.entries(node)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [name, describe(name, value)])

const describe = (name: string, value: unknown): unknown => {
  if (value === undefined) return null
  if (name === "schema" || name === "emits") return shape((value as Schema.Top).ast, 0)
  if (typeof value === "function") return "function"
  if (name === "parts") return kinds((value as { readonly aggregates: Aggregates }).aggregates)
  if (name === "aggregates") return kinds(value as Aggregates)
  if (name === "state") return states(value as Readonly<Record<string, StateSpec>>)
  if (name === "fields") return Object.keys(value as object)
  return value
}

type Aggregates = Readonly<Record<string, { readonly kind: string }>>

const kinds = (aggregates: Aggregates) => Object.entries(aggregates).map(([name, { kind }]) => [name, kind])

const states = (state: Readonly<Record<string, StateSpec>>) =>
  Object.entries(state).map(([name, { kind, ttlMs }]) => [name, kind, ttlMs ?? null])

/** Deep enough for events; a recursive schema must end somewhere. */
const MAX_DEPTH = 16

/** A schema as nested arrays: what its type is made of and what it is encoded as. */
const shape = (ast: SchemaAST.AST, depth: number): unknown => {
  if (depth > MAX_DEPTH) return "…"
  const encoded = ast.encoding?.map(link => shape(link.to, depth + 1)) ?? []
  return [ast._tag, ...parts(ast, depth + 1), ...encoded]
}

const parts = (ast: SchemaAST.AST, depth: number): readonly unknown[] => {
  const inside = (part: SchemaAST.AST) => shape(part, depth)
  if (ast._tag === "Objects")
    return ast.propertySignatures.map(({ name, type }) => [String(name), optional(type), inside(type)])
  if (ast._tag === "Arrays") return [ast.elements.map(inside), ast.rest.map(inside)]
  if (ast._tag === "Union") return ast.types.map(inside)
  if (ast._tag === "Literal") return [String(ast.literal)]
  return ast._tag === "Declaration" ? ast.typeParameters.map(inside) : []
}

const optional = (ast: SchemaAST.AST): boolean => ast.context?.isOptional ?? false

/** FNV-1a over UTF-16 code units: this tells plans apart, it does not defend against anybody. */
const fnv64 = (text: string): string => {
  let hash = 0xcbf29ce484222325n
  for (let i = 0; i < text.length; i++) hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n)
  return hash.toString(16).padStart(16, "0")
}
