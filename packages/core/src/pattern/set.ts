import { operatorHash } from "../state/order.ts"
import { Answers } from "./answers.ts"
import { Tests } from "./automaton.ts"
import { type Beginning, Beginnings } from "./beginnings.ts"
import { checkPattern } from "./check.ts"
import { compilePattern } from "./compile.ts"
import { Matcher, type Output } from "./matching.ts"
import type { Condition, Pattern, Step } from "./spec.ts"
import type { UnderWay } from "./underWay.ts"

/** One of the patterns that are looked for in the same events. */
export interface PatternOf {
  /** Its own among them: by it its state is found again. */
  readonly id: string
  readonly pattern: Pattern
  /** What the pattern is, as a person reads it: partial matches of another one are dropped. */
  readonly what: string
  /** Makes a record of a match, whose `path` says how it came about. Called once for each. */
  readonly select: (match: never, key: never, path: never) => object
  /** Makes a record of a partial match whose time is over. */
  readonly selectTimeout?: ((partial: never, key: never) => object) | undefined
}

/** A pattern ready to be looked for. */
export interface Member {
  readonly of: PatternOf
  /** Its `what`, as a number. */
  readonly version: number
  /** Its place among the others: of two the one that was there first, unless it has changed since. */
  readonly place: number
  readonly matcher: Matcher
  /** It looks at no events for the time being: what it has under way is over when its time is. */
  readonly paused: boolean
  /** Where its matches go. */
  readonly output: Output
  /** The number of the event that it was shown last. */
  shown: number
}

/** What became of the partial matches of a pattern, in this process. */
export interface PatternCounts {
  readonly id: string
  /** Given up since a key had more than `maxPartials`. */
  overflowed: number
  /** Dropped since they were of another version of the pattern, or of one that is there no longer. */
  dropped: number
  /** Over since their time was, whether somebody reads of them or not. */
  timedOut: number
}

/** The same of all patterns together. */
export interface PatternTotals extends Omit<PatternCounts, "id"> {
  /** Patterns that are not looked for since they cannot be read any more. */
  refused: number
}

/**
 * Patterns that are looked for in the same events. A test that several of them have is asked once an event, and those that
 * begin with the same tests are passed over together where none of these holds.
 */
export class PatternSet {
  readonly answers: Answers
  readonly totals: PatternTotals = { overflowed: 0, dropped: 0, timedOut: 0, refused: 0 }
  private readonly tests = new Tests()
  private readonly known = new Map<string, Member>()
  private readonly counted = new Map<string, PatternCounts>()
  private readonly maxPartials: number
  private begin: Beginnings | undefined
  /** How often the patterns have changed. */
  changes = 0

  constructor(maxPartials: number) {
    this.maxPartials = maxPartials
    this.answers = new Answers(this.tests)
  }

  get members(): ReadonlyMap<string, Member> {
    return this.known
  }

  /** Of the patterns that are looked for, and of those that were, and left something. */
  get counts(): readonly PatternCounts[] {
    return [...this.counted.values()]
  }

  countsOf(id: string): PatternCounts {
    const known = this.counted.get(id)
    if (known !== undefined) return known
    const counts = { id, overflowed: 0, dropped: 0, timedOut: 0 }
    this.counted.set(id, counts)
    return counts
  }

  /**
   * Adds a pattern, or puts it in place of the one with its id: of that the partial matches go on where it is the same.
   * Throws PatternError where it is malformed.
   */
  put(of: PatternOf, paused: boolean, output: Output): void {
    const version = operatorHash(of.what)
    const before = this.known.get(of.id)
    const place = before?.place ?? this.known.size
    const matcher = before?.version === version ? before.matcher : this.matcherOf(of.pattern)
    if (before !== undefined && matcher !== before.matcher) this.tests.release(testsOf(before.matcher.pattern.steps))
    this.known.set(of.id, { of, version, place, paused, matcher, output, shown: NEVER })
    this.change()
  }

  private matcherOf(pattern: Pattern): Matcher {
    checkPattern(pattern)
    this.tests.retain(testsOf(pattern.steps))
    return new Matcher(pattern, compilePattern(pattern, this.tests), this.answers, this.maxPartials)
  }

  remove(id: string): void {
    const member = this.known.get(id)
    if (member === undefined) return
    this.tests.release(testsOf(member.matcher.pattern.steps))
    this.known.delete(id)
    this.change()
  }

  /** Patterns come in the order of their ids, in whichever they were added. */
  arrange(): void {
    const all = [...this.known.values()].sort((a, b) => (a.of.id < b.of.id ? -1 : 1))
    this.known.clear()
    for (const [place, member] of all.entries()) this.known.set(member.of.id, { ...member, place })
    this.change()
  }

  /** What an event may begin. */
  get beginnings(): Beginnings {
    return this.begin ?? this.begins()
  }

  /** Whether the event that `answers` is about may begin these patterns. */
  mayBegin({ tests }: Beginning): boolean {
    if (tests === undefined) return true
    for (let i = 0; i < tests.length; i++) if (this.answers.holds(tests[i]!)) return true
    return false
  }

  /** Finds the pattern that something under way is of; false if there is none of its version: then it is counted as dropped. */
  find(one: UnderWay): boolean {
    one.member = this.known.get(one.id)
    if (one.member?.version === one.version) return true
    this.countsOf(one.id).dropped += one.size
    this.totals.dropped += one.size
    return false
  }

  private begins(): Beginnings {
    const awake = [...this.known.values()].filter(({ paused }) => !paused)
    this.begin = new Beginnings(awake, this.tests)
    return this.begin
  }

  private change(): void {
    this.begin = undefined
    this.changes++
  }
}

/** In `shown`. */
const NEVER = -1

/** The tests that the conditions of steps are made of, each once. */
const testsOf = (steps: readonly Step[]): ReadonlySet<(event: never) => boolean> => {
  const found = new Set<(event: never) => boolean>()
  const add = (condition: Condition | undefined): void => {
    if (condition?.kind === "test") found.add(condition.test)
    else if (condition?.kind === "not") add(condition.of)
    else if (condition?.kind === "and" || condition?.kind === "or") condition.of.forEach(add)
  }
  const visit = ({ where, until, group }: Step): void => {
    add(where)
    add(until)
    group?.forEach(visit)
  }
  steps.forEach(visit)
  return found
}
