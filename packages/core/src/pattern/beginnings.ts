import type { Tests } from "./automaton.ts"
import type { Member } from "./set.ts"
import { type Among, type Condition, canBePassed, isNot, type Step, type TestCondition } from "./spec.ts"

/** Patterns that begin with an event for which one of the tests holds; with any event, if there are none. */
export interface Beginning {
  readonly tests: readonly number[] | undefined
  readonly members: Member[]
}

/** Beginnings whose test compares one field with values: an event is looked at once, however many values there are. */
export class Field {
  private readonly read: (event: object) => unknown
  private readonly byValue = new Map<unknown, Beginning[]>()

  constructor(read: (event: object) => unknown) {
    this.read = read
  }

  add(values: readonly unknown[], beginning: Beginning): void {
    for (const value of new Set(values.map(nameOf))) {
      const known = this.byValue.get(value)
      if (known === undefined) this.byValue.set(value, [beginning])
      else known.push(beginning)
    }
  }

  /** All that may begin with an event are among these, each once. */
  of(event: object): readonly Beginning[] {
    return this.byValue.get(nameOf(this.read(event))) ?? NONE
  }
}

const NONE: readonly Beginning[] = []

/** Numbers and bigints of one value have one name; so have some that are too large to tell apart, which their tests do. */
const nameOf = (value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value)

/** What patterns begin with, in an order that stays while the patterns do. */
export class Beginnings {
  readonly fields: readonly Field[]
  /** Those that are found by no field: their tests are asked one by one. */
  readonly others: readonly Beginning[]

  constructor(members: readonly Member[], tests: Tests) {
    const known = new Map<string, Beginning>()
    const fields = new Map<string, Field>()
    const others: Beginning[] = []
    for (const member of members) {
      const needed = needs(member.of.pattern.steps, tests)
      const numbers = needed && [...new Set(needed.map(({ test }) => tests.number(test)))].sort((a, b) => a - b)
      const name = numbers?.join() ?? "any"
      const before = known.get(name)
      if (before !== undefined) {
        before.members.push(member)
        continue
      }
      const beginning = { tests: numbers, members: [member] }
      known.set(name, beginning)
      const among = numbers?.length === 1 ? needed![0]!.among : undefined
      if (among === undefined) others.push(beginning)
      else fieldOf(fields, among).add(among.values, beginning)
    }
    this.fields = [...fields.values()]
    this.others = others
  }
}

const fieldOf = (fields: Map<string, Field>, { field, read }: Among): Field => {
  const known = fields.get(field) ?? new Field(read)
  fields.set(field, known)
  return known
}

/** One of these tests holds for whatever these steps begin with; undefined: no test says so. */
const needs = (steps: readonly Step[], tests: Tests): readonly TestCondition[] | undefined => {
  const found: TestCondition[] = []
  for (const step of steps.filter(one => !isNot(one))) {
    const own = step.group === undefined ? needed(step.where, tests) : needs(step.group, tests)
    if (own === undefined) return undefined
    found.push(...own)
    if (!canBePassed(step)) break
  }
  return found
}

/** One of these tests holds wherever the condition does. Of several that have to hold the one that fewest patterns ask. */
const needed = (condition: Condition | undefined, tests: Tests): readonly TestCondition[] | undefined => {
  switch (condition?.kind) {
    case "test":
      return [condition]
    case "and": {
      const all = condition.of.map(one => needed(one, tests)).filter(one => one !== undefined)
      return all.sort((a, b) => costOf(a, tests) - costOf(b, tests))[0]
    }
    case "or": {
      const all = condition.of.map(one => needed(one, tests))
      return all.some(one => one === undefined) ? undefined : all.flatMap(one => one!)
    }
    default:
      return undefined
  }
}

/** How many patterns are looked at where one of the tests holds, and a little more where they have to be asked one by one. */
const costOf = (needed: readonly TestCondition[], tests: Tests): number =>
  needed.reduce((sum, { test, among }) => sum + tests.usesOf(test) + (among === undefined ? 0.5 : 0), 0)
