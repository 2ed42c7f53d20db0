import { type JsonSchema, Schema } from "effect"

/*
 * Patterns as data: the format of the conformance cases, and of what is sent to a running job. One schema reads it, checks it,
 * and is published as a JSON schema.
 */

const OPERATORS = ["==", "!=", "<", "<=", ">", ">="] as const
export type Operator = (typeof OPERATORS)[number]

const Scalar = Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])
export type Scalar = typeof Scalar.Type

const names = Schema.Array(Schema.String).check(Schema.isMinLength(1))

/** A condition that looks at what a partial match has taken: its sum, its number, or its first or last event of a step. */
export interface IterativeSpec {
  readonly sum?: string
  readonly over?: readonly string[]
  readonly count?: readonly string[]
  readonly first?: string
  readonly last?: string
  readonly field?: string
  readonly includeCurrent?: boolean
  readonly op: Operator
  readonly value?: number
  readonly than?: "previous"
  readonly ifEmpty?: boolean
}

/** When an event fits: one of `field`, `and`, `or`, `not` and `iterative`. */
export interface WhereSpec {
  readonly field?: string
  readonly op?: Operator | "in"
  readonly value?: Scalar | readonly Scalar[]
  readonly and?: readonly WhereSpec[]
  readonly or?: readonly WhereSpec[]
  readonly not?: WhereSpec
  readonly iterative?: IterativeSpec
}

export interface WithinSpec {
  readonly ms: number
  readonly type: "first-and-last" | "previous-and-current"
}

/** A step, or a group of steps. */
export interface ElementSpec {
  readonly name: string
  readonly contiguity?: "next" | "followedBy" | "followedByAny" | "notNext" | "notFollowedBy"
  readonly where?: WhereSpec
  readonly group?: readonly ElementSpec[]
  readonly times?: {
    readonly from?: number
    readonly to?: number
    readonly oneOrMore?: true
    readonly timesOrMore?: number
    readonly withinMs?: number
  }
  readonly consecutive?: boolean
  readonly allowCombinations?: boolean
  readonly greedy?: boolean
  readonly optional?: boolean
  readonly until?: WhereSpec
  readonly within?: WithinSpec
}

/** A pattern as data. */
export interface PatternSpec {
  readonly pattern: readonly ElementSpec[]
  readonly within?: WithinSpec | null
  readonly skip?: {
    readonly type: "no-skip" | "to-next" | "past-last" | "to-first" | "to-last"
    readonly pattern?: string
  }
  readonly comparator?: { readonly field: string; readonly order: "asc" | "desc" } | null
}

type Said = Readonly<Record<string, unknown>>

/** Which of these keys an object has: exactly one of them, and with it those that belong to it. */
const one = (of: Readonly<Record<string, { readonly with: readonly string[]; readonly may?: readonly string[] }>>) =>
  Schema.makeFilter(
    (said: object) => {
      const found = Object.keys(of).filter(name => (said as Said)[name] !== undefined)
      const [name] = found
      if (name === undefined || found.length > 1)
        return `has ${found.length === 0 ? "none" : found.join(" and ")} of ${Object.keys(of).join(", ")}: it has to have one`
      const { with: needed, may = [] } = of[name]!
      const missing = needed.find(key => (said as Said)[key] === undefined)
      if (missing !== undefined) return `has "${name}" without "${missing}"`
      const extra = Object.keys(said).find(key => key !== name && !needed.includes(key) && !may.includes(key))
      return extra === undefined || `has "${name}" and "${extra}", which do not belong together`
    },
    {
      toJsonSchema: () => ({
        oneOf: Object.entries(of).map(([name, { with: needed }]) => ({ required: [name, ...needed] }))
      })
    }
  )

const Iterative = Schema.Struct({
  sum: Schema.optionalKey(Schema.String),
  over: Schema.optionalKey(names),
  count: Schema.optionalKey(names),
  first: Schema.optionalKey(Schema.String),
  last: Schema.optionalKey(Schema.String),
  field: Schema.optionalKey(Schema.String),
  includeCurrent: Schema.optionalKey(Schema.Boolean),
  op: Schema.Literals(OPERATORS),
  value: Schema.optionalKey(Schema.Finite),
  than: Schema.optionalKey(Schema.Literal("previous")),
  ifEmpty: Schema.optionalKey(Schema.Boolean)
}).check(
  one({
    sum: { with: ["over", "value"], may: ["op", "includeCurrent"] },
    count: { with: ["value"], may: ["op", "includeCurrent"] },
    first: { with: ["field"], may: ["op", "than", "ifEmpty"] },
    last: { with: ["field"], may: ["op", "than", "ifEmpty"] }
  })
)

const Where = Schema.Struct({
  field: Schema.optionalKey(Schema.String),
  op: Schema.optionalKey(Schema.Literals([...OPERATORS, "in"])),
  value: Schema.optionalKey(Schema.Union([Scalar, Schema.Array(Scalar)])),
  and: Schema.optionalKey(Schema.Array(Schema.suspend((): Schema.Codec<WhereSpec> => Where))),
  or: Schema.optionalKey(Schema.Array(Schema.suspend((): Schema.Codec<WhereSpec> => Where))),
  not: Schema.optionalKey(Schema.suspend((): Schema.Codec<WhereSpec> => Where)),
  iterative: Schema.optionalKey(Iterative)
})
  .check(
    one({
      field: { with: ["op", "value"] },
      and: { with: [] },
      or: { with: [] },
      not: { with: [] },
      iterative: { with: [] }
    })
  )
  .annotate({ identifier: "Where" })

const Within = Schema.Struct({
  ms: Schema.Finite,
  type: Schema.Literals(["first-and-last", "previous-and-current"])
}).annotate({ identifier: "Within" })

const Times = Schema.Struct({
  from: Schema.optionalKey(Schema.Int),
  to: Schema.optionalKey(Schema.Int),
  oneOrMore: Schema.optionalKey(Schema.Literal(true)),
  timesOrMore: Schema.optionalKey(Schema.Int),
  withinMs: Schema.optionalKey(Schema.Finite)
}).check(
  one({
    from: { with: ["to"], may: ["withinMs"] },
    oneOrMore: { with: [], may: ["withinMs"] },
    timesOrMore: { with: [], may: ["withinMs"] }
  })
)

const flag = Schema.optionalKey(Schema.Boolean)

const Element = Schema.Struct({
  name: Schema.String.check(Schema.isMinLength(1)),
  contiguity: Schema.optionalKey(Schema.Literals(["next", "followedBy", "followedByAny", "notNext", "notFollowedBy"])),
  where: Schema.optionalKey(Where),
  group: Schema.optionalKey(Schema.Array(Schema.suspend((): Schema.Codec<ElementSpec> => Element))),
  times: Schema.optionalKey(Times),
  consecutive: flag,
  allowCombinations: flag,
  greedy: flag,
  optional: flag,
  until: Schema.optionalKey(Where),
  within: Schema.optionalKey(Within)
}).annotate({ identifier: "Element" })

const Skip = Schema.Struct({
  type: Schema.Literals(["no-skip", "to-next", "past-last", "to-first", "to-last"]),
  pattern: Schema.optionalKey(Schema.String)
})

/** A pattern as data. */
export const PatternSpec: Schema.Codec<PatternSpec> = Schema.Struct({
  pattern: Schema.Array(Element).check(Schema.isMinLength(1)),
  within: Schema.optionalKey(Schema.NullOr(Within)),
  skip: Schema.optionalKey(Skip),
  comparator: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ field: Schema.String, order: Schema.Literals(["asc", "desc"]) }))
  )
}).annotate({ identifier: "Pattern", title: "A pattern of events, as Headrace looks for it" })

/** The JSON schema of patterns as data, as it is published. */
export const patternJsonSchema = (): JsonSchema.JsonSchema => {
  const { schema, definitions } = Schema.toJsonSchemaDocument(PatternSpec, { onExcessProperty: "error" })
  return { $schema: "https://json-schema.org/draft/2020-12/schema", ...schema, $defs: definitions }
}
