import { operatorHash } from "../state/order.ts"
import { Tests } from "./automaton.ts"
import { checkPattern } from "./check.ts"
import { compilePattern } from "./compile.ts"
import { Answers, Matcher } from "./matching.ts"
import { type Condition, canBePassed, isNot, type Pattern, type Step } from "./spec.ts"

/** One of the patterns that are looked for in the same events. */
export interface PatternOf {
  /** Its own among them: by it its state is found again. */
  readonly id: string
  readonly pattern: Pattern
  /** What the pattern is, as a person reads it: partial matches of another one are dropped. */
  readonly what: string
  /** Makes a record of a match. Called once for each. */
  readonly select: (match: never, key: never) => object
  /** Makes a record of a partial match whose time is over. */
  readonly selectTimeout?: ((partial: never, key: never) => object) | undefined
}

/** A pattern ready to be looked for. */
export interface Member {
  readonly of: PatternOf
  /** Its `what`, as a number. */
  readonly version: number
  /** Its place among the others. */
  readonly place: number
  readonly matcher: Matcher
  /** What is known of its matches: counters of this process. */
  readonly counts: PatternCounts
}

/** What became of the partial matches of a pattern, in this process. */
export interface PatternCounts {
  readonly id: string
  /** Given up since a key had more than `maxPartials`. */
  overflowed: number
  /** Dropped since they were of another version of the pattern, or of one that is there no longer. */
  dropped: number
}

/** Patterns that begin with an event for which one of the tests holds; with any event, if there are none. */
interface Beginning {
  readonly tests: readonly number[] | undefined
  readonly members: Member[]
}

/**
 * Patterns that are looked for in the same events. A test that several of them have is asked once an event, and those that
 * begin with the same tests are passed over together where none of these holds.
 */
export class PatternSet {
  readonly answers: Answers
  /** Of all patterns together. */
  readonly totals = { overflowed: 0, dropped: 0 }
  readonly members: ReadonlyMap<string, Member>
  private readonly beginnings: readonly Beginning[]
  private readonly gone = new Map<string, PatternCounts>()

  /** Throws PatternError where a pattern is malformed. */
  constructor(patterns: readonly PatternOf[], maxPartials: number) {
    const tests = new Tests()
    const answers = new Answers(tests)
    this.answers = answers
    const members = patterns.map((of, place): Member => {
      checkPattern(of.pattern)
      const matcher = new Matcher(of.pattern, compilePattern(of.pattern, tests), answers, maxPartials)
      const counts = { id: of.id, overflowed: 0, dropped: 0 }
      return { of, version: operatorHash(of.what), place, matcher, counts }
    })
    this.members = new Map(members.map(member => [member.of.id, member]))
    if (this.members.size < members.length) throw new RangeError("Two patterns of one step have the same id")
    this.beginnings = beginningsOf(members, tests)
  }

  /** Of the patterns that are looked for, then of those that were, and left something. */
  get counts(): readonly PatternCounts[] {
    return [...[...this.members.values()].map(({ counts }) => counts), ...this.gone.values()]
  }

  countsOf(id: string): PatternCounts {
    const known = this.members.get(id)?.counts ?? this.gone.get(id)
    if (known !== undefined) return known
    const counts = { id, overflowed: 0, dropped: 0 }
    this.gone.set(id, counts)
    return counts
  }

  /** Calls `visit` for each pattern that the event that `answers` is about may begin; in the same order for the same event. */
  begun(visit: (member: Member) => void): void {
    for (const { tests, members } of this.beginnings)
      if (tests === undefined || tests.some(test => this.answers.holds(test))) for (const one of members) visit(one)
  }
}

const beginningsOf = (members: readonly Member[], tests: Tests): readonly Beginning[] => {
  const found = new Map<string, Beginning>()
  for (const member of members) {
    const needed = needs(member.of.pattern.steps, tests)
    const name = needed === undefined ? "any" : needed.join()
    const beginning = found.get(name)
    if (beginning === undefined) found.set(name, { tests: needed, members: [member] })
    else beginning.members.push(member)
  }
  return [...found.values()]
}

/** One of these tests holds for whatever these steps begin with; undefined: no test says so. */
const needs = (steps: readonly Step[], tests: Tests): readonly number[] | undefined => {
  const found = new Set<number>()
  for (const step of steps.filter(one => !isNot(one))) {
    const own = step.group === undefined ? needed(step.where, tests) : needs(step.group, tests)
    if (own === undefined) return undefined
    for (const test of own) found.add(test)
    if (!canBePassed(step)) break
  }
  return [...found].sort((a, b) => a - b)
}

/** One of these tests holds wherever the condition does. */
const needed = (condition: Condition | undefined, tests: Tests): readonly number[] | undefined => {
  switch (condition?.kind) {
    case "test":
      return [tests.number(condition.test)]
    case "and":
      return condition.of.map(one => needed(one, tests)).find(one => one !== undefined)
    case "or": {
      const all = condition.of.map(one => needed(one, tests))
      return all.some(one => one === undefined) ? undefined : all.flatMap(one => one!)
    }
    default:
      return undefined
  }
}
