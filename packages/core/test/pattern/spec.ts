/** Patterns as Flink's cases describe them. */

import type { Element, Event, Iterative, Spec, Where } from "../../../../test/conformance/vectors/patternSpec.ts"
import { PatternError } from "../../src/pattern/check.ts"
import type { Condition, Pattern, Skip, Step, Taken } from "../../src/pattern/spec.ts"

export type { Event, Spec }

const compare = (a: string | number, op: string, b: string | number): boolean => {
  switch (op) {
    case "==":
      return a === b
    case "!=":
      return a !== b
    case "<":
      return a < b
    case "<=":
      return a <= b
    case ">":
      return a > b
    case ">=":
      return a >= b
    default:
      throw new Error(`There is no operator ${op}`)
  }
}

const tests = new Map<string, Condition>()

const conditionOf = (where: Where): Condition => {
  if (where.and !== undefined) return { kind: "and", of: where.and.map(conditionOf) }
  if (where.or !== undefined) return { kind: "or", of: where.or.map(conditionOf) }
  if (where.not !== undefined) return { kind: "not", of: conditionOf(where.not) }
  if (where.iterative !== undefined) return iterative(where.iterative)
  const { field, op, value } = where
  const name = JSON.stringify([field, op, value])
  const known = tests.get(name)
  if (known !== undefined) return known
  const made: Condition = { kind: "test", test: (event: Event) => compare(event[field!], op!, value!) }
  tests.set(name, made)
  return made
}

const iterative = (spec: Iterative): Condition => {
  const { op, value = 0, includeCurrent = false } = spec
  const eventsOf = (taken: Taken, steps: readonly string[]) => steps.flatMap(step => taken.of(step) as readonly Event[])
  if (spec.sum !== undefined)
    return {
      kind: "iterative",
      test: (event: Event, taken) => {
        const all = [...eventsOf(taken, spec.over!), ...(includeCurrent ? [event] : [])]
        return compare(
          all.reduce((sum, one) => sum + one.value, 0),
          op,
          value
        )
      }
    }
  if (spec.count !== undefined)
    return {
      kind: "iterative",
      test: (_: Event, taken) => compare(eventsOf(taken, spec.count!).length + (includeCurrent ? 1 : 0), op, value)
    }
  return {
    kind: "iterative",
    test: (event: Event, taken) => {
      const before = taken.of((spec.last ?? spec.first)!) as readonly Event[]
      const other = before.at(spec.last === undefined ? 0 : -1)
      return other === undefined ? (spec.ifEmpty ?? true) : compare(event[spec.field!], op, other[spec.field!])
    }
  }
}

const timesOf = ({ name, times }: Element): Step["times"] => {
  if (times === undefined) return undefined
  const { from, to, oneOrMore, timesOrMore } = times
  if ([from, oneOrMore, timesOrMore].filter(one => one !== undefined).length > 1)
    throw new PatternError(`"${name}" says twice how often it comes`)
  if (oneOrMore === true) return { from: 1, to: Number.POSITIVE_INFINITY }
  if (timesOrMore !== undefined) return { from: timesOrMore, to: Number.POSITIVE_INFINITY }
  return { from: from!, to: to! }
}

const stepOf = (element: Element): Step => ({
  name: element.name,
  contiguity: element.contiguity,
  where: element.where && conditionOf(element.where),
  group: element.group?.map(stepOf),
  times: timesOf(element),
  inner: element.consecutive === true ? "consecutive" : element.allowCombinations === true ? "combinations" : undefined,
  greedy: element.greedy,
  optional: element.optional,
  until: element.until && conditionOf(element.until),
  gapMs: element.times?.withinMs ?? (element.within?.type === "previous-and-current" ? element.within.ms : undefined)
})

const skipOf = ({ type, pattern }: Spec["skip"]): Skip => {
  switch (type) {
    case "to-next":
      return { kind: "toNext" }
    case "past-last":
      return { kind: "pastLast" }
    case "to-first":
      return { kind: "toFirst", step: pattern! }
    case "to-last":
      return { kind: "toLast", step: pattern! }
    default:
      return { kind: "none" }
  }
}

export const patternOf = ({ pattern, within, skip }: Spec): Pattern => {
  const last = pattern.length - 1
  const steps = pattern.map((element, i) => {
    const step = stepOf(element)
    return i === last && within?.type === "previous-and-current" ? { ...step, gapMs: within.ms } : step
  })
  const windows = [within, ...pattern.map(element => element.within)].filter(one => one?.type === "first-and-last")
  const withinMs = windows.length === 0 ? undefined : Math.min(...windows.map(one => one!.ms))
  return { steps, withinMs, skip: skipOf(skip) }
}
