import { PatternError } from "@headrace/core"
import { Result, Schema, SchemaIssue } from "effect"
import { begin, beginGroup, type Pattern } from "./pattern.ts"
import { conditionOf } from "./patternCondition.ts"
import { checkAgainst } from "./patternFields.ts"
import { type ElementSpec, PatternSpec, type WithinSpec } from "./patternSpec.ts"

/** A pattern that was given as data: its events are plain objects, its steps have any names. */
export type ReadPattern = Pattern<object, string>

const decode = Schema.decodeUnknownResult(PatternSpec, { onExcessProperty: "error" })
const issues = SchemaIssue.makeFormatterStandardSchemaV1()

/**
 * Checks a pattern that was given as data, and answers with what it says. `events`: their schema, if it is known;
 * then fields are looked up there. Throws PatternError, which names the step and the field.
 */
export const readSpec = (data: unknown, events?: Schema.Top): PatternSpec => {
  if (isTooDeep(data))
    throw new PatternError(
      `the pattern: lists and objects stand in each other more than ${DEEPEST} times: make it flatter`
    )
  const decoded = decode(data)
  if (Result.isFailure(decoded)) {
    const [first] = issues(decoded.failure.issue).issues
    throw new PatternError(`${placeOf(data, (first?.path ?? []).map(keyOf))}: ${first?.message ?? "it is no pattern"}`)
  }
  checkAgainst(decoded.success, events && Schema.toType(events).ast)
  return decoded.success
}

/** The pattern that a specification describes. Throws PatternError where it cannot be matched. */
export const patternOf = ({ pattern, within, skip }: PatternSpec): ReadPattern => {
  const built = sequence(pattern)
  const read = skipping(within == null ? built : timed(built, within), skip)
  read.done()
  return read
}

/** Compares events of one time. Undefined: in the order of their arrival. */
export const orderOf = ({ comparator }: PatternSpec): ((a: object, b: object) => number) | undefined => {
  if (comparator == null) return undefined
  const sign = comparator.order === "desc" ? -1 : 1
  return (a, b) => {
    const [one, other] = [a, b].map(event => (event as Readonly<Record<string, number>>)[comparator.field]!)
    return one! < other! ? -sign : one! > other! ? sign : 0
  }
}

/** What goes through a pattern does so step into step, on a stack. */
const DEEPEST = 100

const isTooDeep = (data: unknown): boolean => {
  let level: readonly unknown[] = [data]
  for (let depth = 0; level.length > 0 && depth <= DEEPEST; depth++)
    level = level.flatMap(one => (typeof one === "object" && one !== null ? Object.values(one) : []))
  return level.length > 0
}

const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): PropertyKey =>
  typeof segment === "object" ? segment.key : segment

/** `step "large": where.op`, from a path into the data. */
const placeOf = (data: unknown, path: readonly PropertyKey[]): string => {
  let at = data
  let step: string | undefined
  let rest: PropertyKey[] = []
  for (const key of path) {
    at = (at as Readonly<Record<PropertyKey, unknown>> | undefined)?.[key]
    rest.push(key)
    const name = typeof key === "number" ? (at as { readonly name?: unknown } | undefined)?.name : undefined
    if (typeof name !== "string") continue
    step = name
    rest = []
  }
  const field = rest.map(key => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("")
  const named = step === undefined ? "the pattern" : `step "${step}"`
  return field === "" ? named : `${named}, ${field.slice(1)}`
}

// ── the builder's methods, in the order in which Flink's cases call them ─────────────────────────────────────────────

const sequence = (elements: readonly ElementSpec[]): ReadPattern => {
  if (elements.length === 0) throw new PatternError("A group has no steps")
  return elements.reduce<ReadPattern | undefined>(
    (pattern, element) => qualified(element, followed(pattern, element)),
    undefined
  )!
}

const followed = (pattern: ReadPattern | undefined, element: ElementSpec): ReadPattern => {
  const { name, contiguity, group } = element
  if (group !== undefined && element.where !== undefined)
    throw new PatternError(`The group "${name}" has a condition: give it to the steps in it`)
  const where = element.where && conditionOf(element.where)
  if (pattern === undefined) {
    if (contiguity !== undefined)
      throw new PatternError(`"${name}" comes first: it has nothing to follow, take contiguity away`)
    return group === undefined ? begin(name, where) : beginGroup(sequence(group))
  }
  if (contiguity === undefined) throw new PatternError(`"${name}" does not say how it follows: give it a contiguity`)
  if (group === undefined) return pattern[contiguity](name as never, where as never) as ReadPattern
  if (contiguity === "next") return pattern.nextGroup(sequence(group))
  if (contiguity === "followedBy") return pattern.followedByGroup(sequence(group))
  if (contiguity === "followedByAny") return pattern.followedByAnyGroup(sequence(group))
  throw new PatternError(`The group "${name}" is not to come: that can be said of steps only`)
}

const qualified = (element: ElementSpec, begun: ReadPattern): ReadPattern => {
  const { times } = element
  let pattern = begun
  if (times?.from !== undefined) pattern = pattern.times(times.from, times.to)
  if (times?.oneOrMore === true) pattern = pattern.oneOrMore()
  if (times?.timesOrMore !== undefined) pattern = pattern.timesOrMore(times.timesOrMore)
  if (element.consecutive === true) pattern = pattern.consecutive()
  if (element.allowCombinations === true) pattern = pattern.allowCombinations()
  if (element.greedy === true) pattern = pattern.greedy()
  if (element.optional === true) pattern = pattern.optional()
  if (element.until !== undefined) pattern = pattern.until(conditionOf(element.until))
  if (times?.withinMs !== undefined) pattern = pattern.gap(windowOf(times.withinMs))
  return element.within === undefined ? pattern : timed(pattern, element.within)
}

const timed = (pattern: ReadPattern, { ms, type }: WithinSpec): ReadPattern =>
  type === "first-and-last" ? pattern.within(windowOf(ms)) : pattern.gap(windowOf(ms))

/** One of less than nothing is none, as in Flink. */
const windowOf = (ms: number): number => Math.max(0, ms)

const skipping = (pattern: ReadPattern, skip: PatternSpec["skip"]): ReadPattern => {
  switch (skip?.type) {
    case "to-next":
      return pattern.skipToNext()
    case "past-last":
      return pattern.skipPastLast()
    case "to-first":
      return pattern.skipToFirst(target(skip))
    case "to-last":
      return pattern.skipToLast(target(skip))
    default:
      return pattern
  }
}

const target = ({ type, pattern }: NonNullable<PatternSpec["skip"]>): string => {
  if (pattern === undefined) throw new PatternError(`The skip strategy ${type} names no step: give it a pattern`)
  return pattern
}
