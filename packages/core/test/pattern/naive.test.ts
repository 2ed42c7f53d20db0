/** Against a matcher that tries every way to give events to steps, and keeps those that the words of the rules allow. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { Answers } from "../../src/pattern/answers.ts"
import { Tests } from "../../src/pattern/automaton.ts"
import { checkPattern, PatternError } from "../../src/pattern/check.ts"
import { compilePattern } from "../../src/pattern/compile.ts"
import { Matches, Seen } from "../../src/pattern/matches.ts"
import { type Match, Matcher } from "../../src/pattern/matching.ts"
import {
  type Condition,
  canBePassed,
  isLoop,
  isNot,
  isOptional,
  type Pattern,
  type Step
} from "../../src/pattern/spec.ts"

interface Event {
  readonly at: number
  readonly name: string
}
/** The event at a place, given to the step at another. */
interface Given {
  readonly step: number
  readonly at: number
}

const CONDITIONS = new Map(
  ["a", "b", "c", "ab", "bc"].map(names => [
    names,
    { kind: "test", test: (event: Event) => names.includes(event.name) } satisfies Condition
  ])
)
const condition = fc.constantFrom(...CONDITIONS.values())

const fits = (of: Condition | undefined, event: Event): boolean =>
  of === undefined || (of.kind === "test" && of.test(event as never))

// ── all ways ─────────────────────────────────────────────────────────────────────────────────────────────────────

const waysOf = (
  { steps, withinMs = Number.POSITIVE_INFINITY }: Pattern,
  events: readonly Event[]
): readonly string[] => {
  const found = new Set<string>()
  const give = (from: number, least: number, given: readonly Given[]): void => {
    if (given.length > 0 && isWay(steps, given, events) && spanOf(given) < withinMs) found.add(JSON.stringify(given))
    for (let at = from; at < events.length; at++)
      for (let step = least; step < steps.length; step++) give(at + 1, step, [...given, { step, at }])
  }
  give(0, 0, [])
  return [...found].sort()
}

const spanOf = (given: readonly Given[]): number => given.at(-1)!.at - given[0]!.at

const isWay = (steps: readonly Step[], given: readonly Given[], events: readonly Event[]): boolean =>
  steps.every((step, i) => isEnough(step, given.filter(one => one.step === i).length)) &&
  given.every(({ step, at }, i) => isTaken(steps, step, at, given[i - 1], events)) &&
  steps.every((step, i) => !isNot(step) || keepsAway(steps, i, given, events))

const isEnough = (step: Step, count: number): boolean => {
  if (isNot(step)) return count === 0
  const { from, to } = step.times ?? { from: 1, to: 1 }
  return (count === 0 && isOptional(step)) || (count >= from && count <= to)
}

/** How an event may follow the one that was taken before it. */
const isTaken = (
  steps: readonly Step[],
  number: number,
  at: number,
  before: Given | undefined,
  events: readonly Event[]
): boolean => {
  const step = steps[number]!
  const ended = (event: Event): boolean => step.until !== undefined && fits(step.until, event)
  if (!fits(step.where, events[at]!) || ended(events[at]!)) return false
  if (before === undefined) return true
  const between = events.slice(before.at + 1, at)
  const isInner = before.step === number
  if (isInner && between.some(ended)) return false
  const how = isInner ? step.inner : step.contiguity
  if (how === "next" || how === "consecutive") return between.length === 0
  if (how === "followedByAny" || how === "combinations") return true
  return !between.some(event => fits(step.where, event))
}

/**
 * What is not to come has not: behind the first event of the step before it, up to the event that comes next. That one may be both,
 * if the match is complete by it: so it is in Flink.
 */
const keepsAway = (
  steps: readonly Step[],
  number: number,
  given: readonly Given[],
  events: readonly Event[]
): boolean => {
  const { contiguity, where } = steps[number]!
  const next = given.find(({ step }) => step > number)
  const last = given.findLast(({ step }) => step < number)
  if (last === undefined || next === undefined) return true
  if (contiguity === "notNext") {
    // Wherever the step before could have ended: what goes on in it is given up as well.
    const ends = given.filter(({ step }) => step === number - 1).slice((steps[number - 1]!.times?.from ?? 1) - 1)
    return ends.every(({ at }) => !fits(where, events[at + 1]!))
  }
  const first = last.step === number - 1 ? given.find(({ step }) => step === last.step)! : last
  const end = next === given.at(-1) ? next.at : next.at + 1
  return !events.slice(first.at + 1, end).some(event => fits(where, event))
}

// ── the automaton ────────────────────────────────────────────────────────────────────────────────────────────────

const matchesOf = (pattern: Pattern, events: readonly Event[]): readonly string[] => {
  const tests = new Tests()
  const answers = new Answers(tests)
  const matcher = new Matcher(pattern, compilePattern(pattern, tests), answers)
  const matches = new Matches()
  const found = new Set<string>()
  const output = {
    match: (match: Match) => void found.add(JSON.stringify(givenOf(pattern, match))),
    timeout: () => {},
    overflow: () => {}
  }
  for (const [number, record] of events.entries()) {
    matcher.advance(matches, record.at, output)
    answers.about(record)
    matcher.process(matches, new Seen(number, record.at, record), output)
  }
  return [...found].sort()
}

const givenOf = ({ steps }: Pattern, match: Match): readonly Given[] =>
  Object.entries(match)
    .flatMap(([name, events]) =>
      (events as readonly Event[]).map(({ at }) => ({ step: steps.findIndex(step => step.name === name), at }))
    )
    .sort((a, b) => a.at - b.at)

// ── patterns ─────────────────────────────────────────────────────────────────────────────────────────────────────

const quantified = fc.record({
  times: fc.constantFrom(
    undefined,
    undefined,
    { from: 2, to: 2 },
    { from: 1, to: 3 },
    { from: 0, to: 2 },
    { from: 1, to: Number.POSITIVE_INFINITY },
    { from: 2, to: Number.POSITIVE_INFINITY }
  ),
  inner: fc.constantFrom(undefined, "consecutive" as const, "combinations" as const),
  optional: fc.boolean(),
  until: fc.option(condition, { nil: undefined })
})

const step = fc
  .record({
    how: fc.constantFrom("next", "followedBy", "followedBy", "followedByAny", "notNext", "notFollowedBy"),
    where: fc.option(condition, { nil: undefined, freq: 8 }),
    of: quantified
  })
  .map(({ how, where, of: { times, inner, optional, until } }): Omit<Step, "name"> => {
    const contiguity = how as Step["contiguity"]
    if (how.startsWith("not")) return { contiguity, where }
    const often = { contiguity, where, times }
    const isRepeated = times !== undefined
    return {
      ...often,
      inner: isRepeated ? inner : undefined,
      optional: optional && times?.from !== 0,
      until: isLoop({ name: "", times }) ? until : undefined
    }
  })

const patterns = fc.record({
  steps: fc
    .array(step, { minLength: 1, maxLength: 4 })
    .map(steps =>
      steps.map((one, i): Step => ({ ...one, name: `s${i}`, contiguity: i === 0 ? undefined : one.contiguity }))
    ),
  withinMs: fc.option(fc.integer({ min: 2, max: 8 }), { nil: undefined })
})

const isWellFormed = (pattern: Pattern): boolean => {
  try {
    checkPattern(pattern)
    // Of what is not to come directly behind another such, or with nothing that has to come behind it, the words say nothing.
    const { steps } = pattern
    if (steps.some((one, i) => isNot(one) && i > 0 && isNot(steps[i - 1]!))) return false
    return (
      !pattern.steps.some(isNot) ||
      pattern.steps.findLastIndex(isNot) < pattern.steps.findLastIndex(one => !canBePassed(one))
    )
  } catch (error) {
    if (error instanceof PatternError) return false
    throw error
  }
}

test("finds what trying every way finds", () => {
  let found = 0
  fc.assert(
    fc.property(
      patterns.map(one => ({ ...one, skip: { kind: "none" as const } })).filter(isWellFormed),
      fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 8 }),
      (pattern, names) => {
        const events = names.map((name, at) => ({ name, at }))
        const expected = waysOf(pattern, events)
        found += expected.length
        expect(matchesOf(pattern, events)).toEqual(expected as string[])
      }
    ),
    { numRuns: 400, seed: 6 }
  )
  expect(found).toBeGreaterThan(1_000)
})
