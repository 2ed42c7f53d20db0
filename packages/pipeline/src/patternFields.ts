import { PatternError } from "@headrace/core"
import type { SchemaAST } from "effect"
import type { ElementSpec, IterativeSpec, PatternSpec, WhereSpec } from "./patternSpec.ts"

/**
 * Whether conditions name steps that there are and, where `events` is known, fields that the events have, of a type that can be
 * compared with what they are compared with. Throws PatternError, which names the step and the field.
 */
export const checkAgainst = ({ pattern, comparator }: PatternSpec, events: SchemaAST.AST | undefined): void => {
  const steps = new Set(stepsOf(pattern))
  const check = new Checking(steps, events)
  for (const element of pattern) check.element(element)
  if (comparator != null) check.kind("the comparator", comparator.field)
}

const stepsOf = (elements: readonly ElementSpec[]): readonly string[] =>
  elements.flatMap(({ name, group }) => (group === undefined ? [name] : stepsOf(group)))

type Kind = "string" | "number" | "boolean"

class Checking {
  private readonly steps: ReadonlySet<string>
  private readonly events: SchemaAST.AST | undefined

  constructor(steps: ReadonlySet<string>, events: SchemaAST.AST | undefined) {
    this.steps = steps
    this.events = events
  }

  element({ name, where, until, group }: ElementSpec): void {
    if (where !== undefined) this.where(`step "${name}", where`, where)
    if (until !== undefined) this.where(`step "${name}", until`, until)
    for (const element of group ?? []) this.element(element)
  }

  /** What a field of the events holds; undefined: anything, or nobody knows. */
  kind(at: string, field: string): readonly Kind[] | undefined {
    let type = this.events
    for (const name of field.split(".")) {
      const fields = type && fieldsOf(type)
      if (fields === undefined) return undefined
      type = fields.get(name)
      if (type === undefined)
        throw new PatternError(
          `${at}: "${field}" is no field of the events, which have ${[...fields.keys()].join(", ")}`
        )
    }
    return type && kindsOf(type)
  }

  private where(at: string, where: WhereSpec): void {
    for (const [name, all] of Object.entries({ and: where.and, or: where.or }))
      for (const [i, one] of (all ?? []).entries()) this.where(`${at}.${name}[${i}]`, one)
    if (where.not !== undefined) this.where(`${at}.not`, where.not)
    if (where.iterative !== undefined) this.iterative(`${at}.iterative`, where.iterative)
    if (where.field !== undefined) this.comparison(at, where)
  }

  private comparison(at: string, { field, op, value }: WhereSpec): void {
    if ((op === "in") !== Array.isArray(value))
      throw new PatternError(
        `${at}: a list of values belongs to the operator in, and ${op} has ${JSON.stringify(value)}`
      )
    const kinds = this.kind(`${at}.field`, field!)
    for (const one of [value].flat()) {
      const own = typeof one as Kind
      if (own === "boolean" && op !== "==" && op !== "!=" && op !== "in")
        throw new PatternError(`${at}: ${one} is no more and no less than anything: ${op} does not apply`)
      if (kinds !== undefined && !kinds.includes(own))
        throw new PatternError(
          `${at}: "${field}" holds a ${kinds.join(" or a ")}, and it is compared with ${JSON.stringify(one)}`
        )
    }
  }

  private iterative(at: string, spec: IterativeSpec): void {
    const named = { over: spec.over, count: spec.count, first: [spec.first], last: [spec.last] }
    for (const [key, names] of Object.entries(named))
      for (const name of names ?? [])
        if (name !== undefined && !this.steps.has(name))
          throw new PatternError(
            `${at}.${key}: the pattern has no step "${name}", it has ${[...this.steps].join(", ")}`
          )
    if (spec.field !== undefined) this.kind(`${at}.field`, spec.field)
    if (spec.sum === undefined) return
    const kinds = this.kind(`${at}.sum`, spec.sum)
    if (kinds !== undefined && !kinds.includes("number"))
      throw new PatternError(`${at}.sum: "${spec.sum}" holds a ${kinds.join(" or a ")}, which cannot be summed`)
  }
}

/** The fields of a record, also of one that may be missing; undefined where it is none. */
const fieldsOf = (type: SchemaAST.AST): ReadonlyMap<string, SchemaAST.AST> | undefined => {
  switch (type._tag) {
    case "Suspend":
      return fieldsOf(type.thunk())
    // A class says what it is made of.
    case "Declaration":
      return type.typeParameters.length === 1 ? fieldsOf(type.typeParameters[0]!) : undefined
    case "Objects":
      if (type.indexSignatures.length > 0) return undefined
      return new Map(type.propertySignatures.map(({ name, type: of }) => [String(name), of]))
    case "Union": {
      const all = type.types.filter(isThere).map(fieldsOf)
      return all.includes(undefined) ? undefined : new Map(all.flatMap(one => [...one!]))
    }
    default:
      return undefined
  }
}

/** Undefined: something else, or it is not known. */
const kindsOf = (type: SchemaAST.AST): readonly Kind[] | undefined => {
  switch (type._tag) {
    case "String":
    case "TemplateLiteral":
      return ["string"]
    case "Number":
    case "BigInt":
      return ["number"]
    case "Boolean":
      return ["boolean"]
    case "Literal":
      return [typeof type.literal === "bigint" ? "number" : (typeof type.literal as Kind)]
    case "Union": {
      const all = type.types.filter(isThere).map(kindsOf)
      return all.includes(undefined) ? undefined : [...new Set(all.flatMap(one => one!))]
    }
    default:
      return undefined
  }
}

const isThere = ({ _tag }: SchemaAST.AST): boolean => _tag !== "Null" && _tag !== "Undefined"
