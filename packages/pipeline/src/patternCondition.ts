import type { Condition, Taken } from "@headrace/core"
import type { IterativeSpec, Operator, Scalar, WhereSpec } from "./patternSpec.ts"

type Test = (event: object) => boolean

/**
 * A condition as data, made into one that can be asked. Those on the event alone that say the same are the same function, in
 * whatever pattern they stand, so that they are asked once an event.
 */
export const conditionOf = (where: WhereSpec): Condition => {
  if (where.and !== undefined) return { kind: "and", of: where.and.map(conditionOf) }
  if (where.or !== undefined) return { kind: "or", of: where.or.map(conditionOf) }
  if (where.not !== undefined) return { kind: "not", of: conditionOf(where.not) }
  if (where.iterative !== undefined) return { kind: "iterative", test: iterative(where.iterative) }
  return testOf(where.field!, where.op!, where.value!)
}

const testOf = (field: string, op: Operator | "in", value: Scalar | readonly Scalar[]): Condition => {
  const test = shared(field, op, value)
  if (op !== "==" && op !== "in") return { kind: "test", test }
  return { kind: "test", test, among: { field, read: reading(field), values: [value].flat() } }
}

/** The tests that somebody uses, by what they say. */
const known = new Map<string, WeakRef<Test>>()
const gone = new FinalizationRegistry<string>(name => {
  if (known.get(name)?.deref() === undefined) known.delete(name)
})

const shared = (field: string, op: Operator | "in", value: Scalar | readonly Scalar[]): Test => {
  const name = JSON.stringify([field, op, value])
  const before = known.get(name)?.deref()
  if (before !== undefined) return before
  const test = comparing(field, op, value)
  known.set(name, new WeakRef(test))
  gone.register(test, name)
  return test
}

const comparing = (field: string, op: Operator | "in", value: Scalar | readonly Scalar[]): Test => {
  const read = reading(field)
  if (op === "in") {
    const all = value as readonly Scalar[]
    return event => {
      const own = read(event)
      return all.some(one => isSame(own, one))
    }
  }
  const compare = COMPARE[op]
  return event => compare(read(event), value)
}

/** What stands in a field, by its path: `card.country`. Undefined where there is none. */
const reading = (field: string): ((event: object) => unknown) => {
  const [first, ...rest] = field.split(".") as [string, ...string[]]
  const own = (event: object) => (event as Readonly<Record<string, unknown>>)[first]
  return rest.length === 0
    ? own
    : event =>
        rest.reduce((at, name) => (at as Readonly<Record<string, unknown>> | null | undefined)?.[name], own(event))
}

/** Numbers and bigints of one value are the same. */
const isSame = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a !== typeof b && isNumeric(a) && isNumeric(b) && !(a < b) && !(a > b))

const isNumeric = (value: unknown): value is number | bigint => typeof value === "number" || typeof value === "bigint"

/** Of what has no order among each other none is less. */
const isLess = (a: unknown, b: unknown): boolean =>
  ((isNumeric(a) && isNumeric(b)) || (typeof a === "string" && typeof b === "string")) && a < b

const COMPARE: Readonly<Record<Operator, (a: unknown, b: unknown) => boolean>> = {
  "==": isSame,
  "!=": (a, b) => !isSame(a, b),
  "<": isLess,
  "<=": (a, b) => isLess(a, b) || isSame(a, b),
  ">": (a, b) => isLess(b, a),
  ">=": (a, b) => isLess(b, a) || isSame(a, b)
}

type Iterative = (event: object, taken: Taken) => boolean

const iterative = (spec: IterativeSpec): Iterative => {
  const { op, value, includeCurrent = false } = spec
  const compare = COMPARE[op]
  if (spec.sum !== undefined) {
    const number = summing(spec.sum)
    return (event, taken) =>
      compare(sum(eventsOf(taken, spec.over!), number) + (includeCurrent ? number(event) : 0), value)
  }
  if (spec.count !== undefined)
    return (_, taken) => compare(eventsOf(taken, spec.count!).length + (includeCurrent ? 1 : 0), value)
  const read = reading(spec.field!)
  return (event, taken) => {
    const other = spec.last === undefined ? taken.of(spec.first!).at(0) : taken.of(spec.last).at(-1)
    return other === undefined ? (spec.ifEmpty ?? true) : compare(read(event), read(other))
  }
}

const eventsOf = (taken: Taken, steps: readonly string[]): readonly object[] => steps.flatMap(step => taken.of(step))

/** What is no number adds nothing. */
const summing = (field: string): ((event: object) => number) => {
  const read = reading(field)
  return event => {
    const value = read(event)
    return isNumeric(value) ? Number(value) : 0
  }
}

const sum = (events: readonly object[], number: (event: object) => number): number =>
  events.reduce((all, event) => all + number(event), 0)
