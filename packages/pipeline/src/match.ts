import {
  type PathStep as CorePathStep,
  type Pattern as CorePattern,
  isNot,
  isOptional,
  type PatternOf,
  type Step
} from "@headrace/core"
import { plainName } from "./check.ts"
import { type Draft, nearest } from "./draft.ts"
import { check } from "./error.ts"
import type { Match, Pattern } from "./pattern.ts"
import type { KafkaSink } from "./sink.ts"
import { lateSink } from "./sinkDraft.ts"
import { keptCodec } from "./stateCodec.ts"

/** An event of a match, in the order in which they were taken, and how it came to be one. */
export interface PathStep<A, Names extends string> extends Omit<CorePathStep, "step" | "event"> {
  readonly step: Names
  readonly event: A
}

/** What becomes of the matches of a pattern. */
export interface Selection<A, K, Names extends string, B, T> {
  /** Makes a record of a match. Called once for each, on plain objects. `path` says how it came about, event by event. */
  readonly select: (match: Match<A, Names>, key: K, path: () => readonly PathStep<A, Names>[]) => B
  /** Makes a record of a partial match whose time is over: they are read by `timedOut`. */
  readonly timedOut?: (partial: Partial<Match<A, Names>>, key: K) => T
}

/** What patterns see of a stream. */
export interface EventOptions<A> {
  /** The order of events of one time. Default: that of their arrival. */
  readonly order?: (a: A, b: A) => number
  /** Where late events go. Without it they are counted and dropped. */
  readonly late?: KafkaSink<A>
  /**
   * How many partial matches a pattern may have in each key, with complete ones that are held back. Of more than that those
   * that began earliest are given up, and counted by `headrace_pattern_overflow_total`. Default: 1,000.
   */
  readonly maxPartials?: number
  /**
   * Paths say how many events of the key were ignored between two that were taken, and matches of patterns that come as data say
   * their paths. What is under way in a key is then written with each event of it. Default: they do not.
   */
  readonly explain?: boolean
}

/** Options of `match`: what becomes of matches, and what patterns see of the stream. */
export interface MatchOptions<A, K, Names extends string, B, T> extends Selection<A, K, Names, B, T>, EventOptions<A> {}

/** One of several patterns that are looked for in the same events: made by `Pattern.select`. */
export interface Selected<in A, in K, out B, out T> {
  readonly "~selected": (event: A, key: K) => B | T
  readonly "~timedOut": T
  readonly of: PatternOf
}

export const selected = <A, K, Names extends string, B extends object, T extends object = never>(
  id: string,
  pattern: Pattern<A, Names>,
  { select, timedOut }: Selection<A, K, Names, B, T>
): Selected<A, K, B, T> => {
  const done = pattern.done()
  const what = showPattern(done)
  const of = { id: plainName("an id", id), pattern: done, what, select: ofAll(done, select), selectTimeout: timedOut }
  return { of } as unknown as Selected<A, K, B, T>
}

/** A match has each step, also one that has taken nothing: then a list of no events, behind those that have. */
const ofAll = <M extends object, K, P, B>(
  { steps }: CorePattern,
  select: (match: M, key: K, path: P) => B
): ((match: M, key: K, path: P) => B) => {
  const names = leftOut(steps)
  if (names.length === 0) return select
  return (match, key, path) => {
    const missing = names.filter(name => !Object.hasOwn(match, name))
    if (missing.length === 0) return select(match, key, path)
    return select({ ...match, ...Object.fromEntries(missing.map(name => [name, []])) }, key, path)
  }
}

/** The steps of which a match may have no events. */
const leftOut = (steps: readonly Step[], inOptional = false): readonly string[] =>
  steps.flatMap(step => {
    const may = inOptional || isOptional(step)
    if (step.group !== undefined) return leftOut(step.group, may)
    return may && !isNot(step) ? [step.name] : []
  })

/** What a step that looks for patterns keeps of its events, and what stands beside it. */
export const eventsOf = (input: Draft, id: string, { order, late, maxPartials, explain }: EventOptions<never>) => {
  const codec = keptCodec(input, id, "events")
  check(
    maxPartials === undefined || (Number.isInteger(maxPartials) && maxPartials > 0),
    () => `maxPartials of ${id} is a whole number of at least 1, not ${maxPartials}`
  )
  const beside = late === undefined ? [] : [lateSink(late, id)]
  return { codec, order, late: late?.id, maxPartials, counted: explain === true, beside }
}

/** `what` the step looks for; without it that may change from one run to the next. */
export const matchDraft = (
  input: Draft,
  id: string,
  patterns: readonly PatternOf[],
  what: string,
  options: EventOptions<never>
): Draft => {
  plainName("an id", id)
  check(nearest(input, "keyBy") !== undefined, () => `${id} has no key: call keyBy before match`)
  const { codec, order, late, maxPartials, counted, beside } = eventsOf(input, id, options)
  const ids = patterns.map(one => one.id)
  const twice = ids.find((one, i) => ids.indexOf(one) < i)
  check(twice === undefined, () => `${id} looks for two patterns called "${twice}": give each an id of its own`)
  check(patterns.length > 0, () => `${id} looks for no pattern: give it at least one`)
  return {
    id,
    fixed: true,
    inputs: [input],
    beside,
    spec: {
      kind: "pattern",
      patterns,
      what,
      codec,
      comparator: order,
      late,
      maxPartials,
      counted
    }
  }
}

/** What a pattern is, but for its conditions: `small{2,} followedBy large within 60000 ms`. */
const showPattern = ({ steps, withinMs, skip }: CorePattern): string =>
  [
    showSteps(steps),
    ...(withinMs === undefined ? [] : [`within ${withinMs} ms`]),
    ...(skip.kind === "none" ? [] : [`skip ${skip.kind}${"step" in skip ? ` ${skip.step}` : ""}`])
  ].join(" ")

const showSteps = (steps: readonly Step[]): string =>
  steps.map(step => [step.contiguity, showStep(step)].filter(one => one !== undefined).join(" ")).join(" ")

const showStep = (step: Step): string => {
  const { group, name } = step
  return `${group === undefined ? name : `(${showSteps(group)})`}${often(step)}`
}

/** How often a step comes, and how: `{2,} greedy optional`. */
export const often = ({ times, inner, greedy, optional, until, gapMs }: Step): string => {
  const count = times === undefined ? "" : `{${times.from},${times.to === Number.POSITIVE_INFINITY ? "" : times.to}}`
  const words = [
    inner,
    greedy && "greedy",
    optional && "optional",
    until && "until",
    gapMs !== undefined && `gap ${gapMs} ms`
  ]
  const said = words.filter(word => typeof word === "string").map(word => ` ${word}`)
  return `${count}${said.join("")}`
}
