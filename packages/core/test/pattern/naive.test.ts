/** Against a matcher that tries every way to give events to steps, and keeps those that the words of the rules allow. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { Answers } from "../../src/pattern/answers.ts"
import { Tests } from "../../src/pattern/automaton.ts"
import { checkPattern, PatternError } from "../../src/pattern/check.ts"
import { compilePattern } from "../../src/pattern/compile.ts"
import { Matches, Seen } from "../../src/pattern/matches.ts"
import { Matcher } from "../../src/pattern/matching.ts"
import {
  type Condition,
  isLoop,
  isNot,
  type Pattern,
  type Skip,
  type Step,
  type Taken
} from "../../src/pattern/spec.ts"
import type { Match } from "../../src/pattern/taken.ts"
import { type Event, type Given, isTied, isTold, matchesOf } from "./naive.ts"

const CONDITIONS = new Map(
  ["a", "b", "c", "ab", "bc"].map(names => [
    names,
    { kind: "test", test: (event: Event) => names.includes(event.name) } satisfies Condition
  ])
)
const condition = fc.constantFrom<Condition[]>(...CONDITIONS.values())

/** What looks at the events of a step that were taken so far. */
const iterative = (step: string): fc.Arbitrary<Condition> =>
  fc
    .constantFrom<((event: Event, taken: readonly Event[]) => boolean)[]>(
      (_, taken) => taken.length < 2,
      (event, taken) => taken.every(({ name }) => name !== event.name),
      (event, taken) => taken.length === 0 || event.at - taken[0]!.at > 1
    )
    .map(holds => ({
      kind: "iterative",
      test: (event: Event, taken: Taken) => holds(event, taken.of(step) as readonly Event[])
    }))

// ── the automaton ────────────────────────────────────────────────────────────────────────────────────────────────

const textsOf = (all: readonly (readonly Given[])[]): string[] => all.map(given => JSON.stringify(given)).sort()

const found = (pattern: Pattern, events: readonly Event[]): string[] => {
  const tests = new Tests()
  const answers = new Answers(tests)
  const matcher = new Matcher(pattern, compilePattern(pattern, tests), answers)
  const matches = new Matches()
  const all: (readonly Given[])[] = []
  const output = { match: (match: Match) => void all.push(givenOf(match)), timeout: () => {}, overflow: () => {} }
  for (const [number, record] of events.entries()) {
    matcher.advance(matches, record.at, output)
    answers.about(record)
    matcher.process(matches, new Seen(number, record.at, record), output)
  }
  matcher.advance(matches, Number.POSITIVE_INFINITY, output)
  // Two ways to one match are two matches, as in Flink.
  return [...new Set(textsOf(all))]
}

const givenOf = (match: Match): readonly Given[] =>
  Object.entries(match)
    .flatMap(([step, events]) => (events as readonly Event[]).map(({ at }) => ({ step, at })))
    .sort((a, b) => a.at - b.at)

/** One in six times. */
const seldom = <A>(of: fc.Arbitrary<A>): fc.Arbitrary<A | undefined> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: of })

// ── patterns ─────────────────────────────────────────────────────────────────────────────────────────────────────

const often = fc.record({
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
  greedy: fc.boolean(),
  optional: seldom(fc.constant(true)),
  until: fc.option(condition, { nil: undefined }),
  gapMs: seldom(fc.integer({ min: 1, max: 3 }))
})
const how = fc.constantFrom("next", "followedBy", "followedByAny", "notNext", "notFollowedBy")

type Unnamed = Omit<Step, "name" | "group"> & {
  readonly group?: readonly Unnamed[] | undefined
  readonly looks: Condition | undefined
}

const single = fc
  .record({ how, where: fc.option(condition, { nil: undefined, freq: 8 }), of: often, looks: seldom(iterative("s0")) })
  .map(({ how, where, of: { times, inner, greedy, optional, until, gapMs }, looks }): Unnamed => {
    const contiguity = how as Step["contiguity"]
    if (how.startsWith("not")) return { contiguity, where, looks: undefined }
    const isRepeated = times !== undefined
    return {
      ...{ contiguity, where, times, gapMs, looks },
      inner: isRepeated ? inner : undefined,
      greedy: isRepeated && inner !== "combinations" && greedy ? true : undefined,
      optional: optional === true && times?.from !== 0,
      until: isLoop({ name: "", times }) ? until : undefined
    }
  })

const groupOf = (steps: fc.Arbitrary<Unnamed>): fc.Arbitrary<Unnamed> =>
  fc.record({ how, of: often, group: fc.array(steps, { minLength: 1, maxLength: 2 }) }).map(({ how, of, group }) => ({
    contiguity: how as Step["contiguity"],
    group,
    times: of.times,
    inner: of.times === undefined ? undefined : of.inner,
    optional: of.optional === true && of.times?.from !== 0,
    looks: undefined
  }))
const inGroup = fc.oneof({ weight: 2, arbitrary: single }, { weight: 1, arbitrary: groupOf(single) })
const step = fc.oneof({ weight: 4, arbitrary: single }, { weight: 1, arbitrary: groupOf(inGroup) })

/** Steps are called in the order in which they stand; what looks at others is a part of the condition. */
const named = (steps: readonly Unnamed[], next = { number: 0 }): readonly Step[] =>
  steps.map(({ looks, group, ...one }, i): Step => {
    const name = `s${next.number++}`
    const contiguity = i === 0 ? undefined : one.contiguity
    if (group !== undefined) return { ...one, name, contiguity, group: named(group, next) }
    const where = looks === undefined ? one.where : both(one.where, looks)
    return { ...one, name, contiguity, where }
  })

const both = (where: Condition | undefined, looks: Condition): Condition =>
  where === undefined ? looks : { kind: "and", of: [where, looks] }

const steps = fc.array(step, { minLength: 1, maxLength: 4 }).map(all => named(all))
const streams = fc
  .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 8 })
  .map(names => names.map((name, at): Event => ({ name, at })))
const within = fc.integer({ min: 2, max: 8 })

const isWellFormed = (pattern: Pattern): boolean => {
  try {
    checkPattern(pattern)
    return isTold(pattern)
  } catch (error) {
    if (error instanceof PatternError) return false
    throw error
  }
}

/** What was tried: without it a test may say little. */
const tried = (pattern: Pattern, seen: Map<string, number>): void => {
  const note = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
  const visit = (all: readonly Step[], depth: number): void => {
    for (const one of all) {
      if (one.contiguity !== undefined) note(one.contiguity)
      if (one.times !== undefined) note(isLoop(one) ? "loop" : "times")
      for (const word of ["greedy", "optional", "until", "gapMs"] as const) if (one[word]) note(word)
      if (one.inner !== undefined) note(one.inner)
      if (one.where?.kind === "and" || one.where?.kind === "iterative") note("iterative")
      if (one.group === undefined) continue
      note(depth === 0 ? "group" : "group in a group")
      visit(one.group, depth + 1)
    }
  }
  visit(pattern.steps, 0)
  note(pattern.skip.kind)
}
const OPERATORS = [
  "next",
  "followedBy",
  "followedByAny",
  "notNext",
  "notFollowedBy",
  "times",
  "loop",
  "consecutive"
].concat([...["combinations", "greedy", "optional", "until", "gapMs", "iterative", "group", "group in a group"]])

test("finds what trying every way finds", () => {
  const seen = new Map<string, number>()
  let count = 0
  fc.assert(
    fc.property(
      fc
        .record({ steps, withinMs: fc.option(within, { nil: undefined }) })
        .map((one): Pattern => ({ ...one, skip: { kind: "none" } }))
        .filter(isWellFormed),
      streams,
      (pattern, events) => {
        const expected = textsOf(matchesOf(pattern, events))
        if (expected.length > 0) tried(pattern, seen)
        count += expected.length
        expect(found(pattern, events)).toEqual(expected)
      }
    ),
    { numRuns: 10_000, seed: 6 }
  )
  expect(count).toBeGreaterThan(5_000)
  expect(OPERATORS.filter(operator => (seen.get(operator) ?? 0) < 20)).toEqual([])
})

const skips = (names: readonly string[]): fc.Arbitrary<Skip> =>
  fc.oneof(
    fc.constantFrom<Skip[]>({ kind: "toNext" }, { kind: "pastLast" }),
    fc.record({ kind: fc.constantFrom("toFirst" as const, "toLast" as const), step: fc.constantFrom(...names) })
  )

test("of these, a skip strategy leaves what it says", () => {
  const seen = new Map<string, number>()
  let dropped = 0
  fc.assert(
    fc.property(
      fc
        .record({ steps, withinMs: within })
        .chain(one =>
          skips(
            one.steps
              .filter(of => of.group === undefined && !isNot(of))
              .map(({ name }) => name)
              .concat("s0")
          ).map((skip): Pattern => ({ ...one, skip }))
        )
        .filter(isWellFormed),
      streams,
      (pattern, events) => {
        const all = matchesOf({ ...pattern, skip: { kind: "none" } }, events)
        fc.pre(!isTied(all))
        const expected = textsOf(matchesOf(pattern, events))
        if (expected.length > 0) tried(pattern, seen)
        dropped += all.length - expected.length
        expect(found(pattern, events)).toEqual(expected)
      }
    ),
    { numRuns: 700, seed: 6 }
  )
  expect(dropped).toBeGreaterThan(100)
  expect(["toNext", "pastLast", "toFirst", "toLast"].filter(kind => (seen.get(kind) ?? 0) < 20)).toEqual([])
})
