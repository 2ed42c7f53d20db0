/**
 * Matching by trying: every way to give events to steps that the words of the rules allow. Groups are written out, as many rounds as
 * there are events for; steps of the same name stand for one then.
 */
import {
  type Condition,
  canBePassed,
  isLoop,
  isNot,
  isOptional,
  type Pattern,
  type Step,
  type Taken
} from "../../src/pattern/spec.ts"

export interface Event {
  readonly at: number
  readonly name: string
}
/** The event at a place, given to a step. */
export interface Given {
  readonly step: string
  readonly at: number
}
/** The same, by the place of the step. */
interface Way {
  readonly step: number
  readonly at: number
}

/** What a pattern finds in events, one of which comes each millisecond from 0 on: by its skip strategy those that are left. */
export const matchesOf = (pattern: Pattern, events: readonly Event[]): readonly (readonly Given[])[] => {
  const found = new Map<string, readonly Given[]>()
  for (const steps of writtenOut(pattern.steps, events.length))
    for (const way of waysOf(steps, pattern.withinMs ?? Number.POSITIVE_INFINITY, events)) {
      const given = way.map(({ step, at }) => ({ step: steps[step]!.name, at }))
      found.set(JSON.stringify(given), given)
    }
  return left(pattern, [...found.values()].sort(byBeginning))
}

/** Complete matches come by the beginning, and of one beginning by their end. */
const byBeginning = (a: readonly Given[], b: readonly Given[]): number =>
  a[0]!.at - b[0]!.at || a.at(-1)!.at - b.at(-1)!.at

/** Of two of these a skip strategy takes one or the other, by rules that are about ways through the automaton. */
export const isTied = (all: readonly (readonly Given[])[]): boolean =>
  all.some((one, i) => i > 0 && byBeginning(all[i - 1]!, one) === 0)

const left = ({ skip }: Pattern, all: readonly (readonly Given[])[]): readonly (readonly Given[])[] => {
  let from = 0
  return all.filter(match => {
    const first = match[0]!.at
    if (first < from) return false
    const own = "step" in skip ? match.filter(({ step }) => step === skip.step) : []
    if (skip.kind === "toNext") from = first + 1
    if (skip.kind === "pastLast") from = match.at(-1)!.at + 1
    if (own.length > 0) from = Math.max(from, (skip.kind === "toFirst" ? own[0]! : own.at(-1)!).at)
    return true
  })
}

// ── groups ───────────────────────────────────────────────────────────────────────────────────────────────────────

const writtenOut = (steps: readonly Step[], most: number): readonly (readonly Step[])[] =>
  steps.reduce<readonly (readonly Step[])[]>((all, step) => together(all, ofStep(step, most), most), [[]])

/** Each of the first before each of the second; without what needs more events than there are. */
const together = (
  all: readonly (readonly Step[])[],
  more: readonly (readonly Step[])[],
  most: number
): readonly (readonly Step[])[] =>
  all.flatMap(one => more.map(other => [...one, ...other])).filter(steps => needed(steps) <= most)

const needed = (steps: readonly Step[]): number =>
  steps.reduce((sum, step) => sum + (canBePassed(step) ? 0 : (step.times?.from ?? 1)), 0)

/** Its first round follows as the group does, and later ones as the events of one step. */
const ofStep = (step: Step, most: number): readonly (readonly Step[])[] => {
  const { group, contiguity, inner, times = { from: 1, to: 1 } } = step
  if (group === undefined) return [[step]]
  const least = isOptional(step) ? 0 : times.from
  // A round may be of no event.
  const rounds = Array.from({ length: Math.min(times.to, Math.max(times.from, most)) + 1 }, (_, count) => count)
  const later = inner === "consecutive" ? "next" : inner === "combinations" ? "followedByAny" : "followedBy"
  return rounds
    .filter(count => count >= least && (count === 0 || count >= times.from))
    .flatMap(count => {
      const all = Array.from({ length: count }, (_, i) => entered(group, i === 0 ? contiguity : later, inner))
      return all.reduce<readonly (readonly Step[])[]>(
        (before, round) => together(before, writtenOut(round, most), most),
        [[]]
      )
    })
}

/**
 * What a group's first step says itself of how it follows counts for nothing. A group that stands first in another one follows
 * directly, as Flink has it.
 */
const entered = (
  [first, ...rest]: readonly Step[],
  contiguity: Step["contiguity"],
  inner: Step["inner"]
): readonly Step[] =>
  first!.group === undefined
    ? [{ ...first!, contiguity, inner }, ...rest]
    : [{ ...first!, contiguity: contiguity && "next" }, ...rest]

// ── all ways ─────────────────────────────────────────────────────────────────────────────────────────────────────

const waysOf = (steps: readonly Step[], withinMs: number, events: readonly Event[]): readonly (readonly Way[])[] => {
  const found: (readonly Way[])[] = []
  const give = (from: number, least: number, given: readonly Way[]): void => {
    if (given.length > 0 && isComplete(steps, given, events)) found.push(given)
    const end = given.length === 0 ? events.length : Math.min(events.length, given[0]!.at + withinMs)
    for (let at = from; at < end; at++)
      for (let step = least; step < steps.length; step++)
        if (isTaken(steps, { step, at }, given, events)) give(at + 1, step, [...given, { step, at }])
  }
  give(0, 0, [])
  return found
}

const isComplete = (steps: readonly Step[], given: readonly Way[], events: readonly Event[]): boolean =>
  steps.every((step, i) => isEnough(step, given.filter(one => one.step === i).length)) &&
  steps.every((step, i) => !isNot(step) || keepsAway(steps, i, given, events)) &&
  steps.every((step, i) => step.greedy !== true || leavesNothing(steps, i, given, events))

const isEnough = (step: Step, count: number): boolean => {
  if (isNot(step)) return count === 0
  const { from, to } = step.times ?? { from: 1, to: 1 }
  return (count === 0 && isOptional(step)) || (count >= from && count <= to)
}

/** Whether an event fits, where these have been taken. */
const fits = (
  of: Condition | undefined,
  event: Event,
  steps: readonly Step[],
  given: readonly Way[],
  events: readonly Event[]
): boolean => {
  const fitsOne = (one: Condition): boolean => fits(one, event, steps, given, events)
  const taken: Taken = {
    of: name => given.filter(({ step }) => steps[step]!.name === name).map(({ at }) => events[at]!)
  }
  switch (of?.kind) {
    case undefined:
      return true
    case "test":
      return of.test(event as never)
    case "iterative":
      return of.test(event as never, taken)
    case "not":
      return !fitsOne(of.of)
    case "and":
      return of.of.every(fitsOne)
    case "or":
      return of.of.some(fitsOne)
  }
}

/** How an event may follow those that were taken before it. */
const isTaken = (
  steps: readonly Step[],
  { step: number, at }: Way,
  given: readonly Way[],
  events: readonly Event[]
): boolean => {
  const step = steps[number]!
  const is = (of: Condition | undefined, event: Event): boolean => fits(of, event, steps, given, events)
  const ended = (event: Event): boolean => step.until !== undefined && is(step.until, event)
  if (isNot(step) || !is(step.where, events[at]!) || ended(events[at]!)) return false
  const before = given.at(-1)
  if (before === undefined) return true
  if (step.gapMs !== undefined && at - before.at >= step.gapMs) return false
  const between = events.slice(before.at + 1, at)
  const isInner = before.step === number
  if (isInner && between.some(ended)) return false
  const how = isInner ? step.inner : step.contiguity
  if (how === "next" || how === "consecutive") return between.length === 0
  if (how === "followedByAny" || how === "combinations") return true
  return !between.some(event => is(step.where, event))
}

/**
 * What is not to come has not: behind the first event of the step before it, up to the event that comes next. That one may be both,
 * if the match is complete by it: so it is in Flink.
 */
const keepsAway = (
  steps: readonly Step[],
  number: number,
  given: readonly Way[],
  events: readonly Event[]
): boolean => {
  const { contiguity, where } = steps[number]!
  const is = (event: Event): boolean => fits(where, event, steps, given, events)
  const next = given.find(({ step }) => step > number)
  const last = given.findLast(({ step }) => step < number)
  if (last === undefined || next === undefined) return true
  if (contiguity === "notNext") {
    // Wherever the step before could have ended: what goes on in it is given up as well.
    const ends = given.filter(({ step }) => step === number - 1).slice((steps[number - 1]!.times?.from ?? 1) - 1)
    return ends.every(({ at }) => !is(events[at + 1]!))
  }
  const first = last.step === number - 1 ? given.find(({ step }) => step === last.step)! : last
  const end = next === given.at(-1) ? next.at : next.at + 1
  return !events.slice(first.at + 1, end).some(is)
}

/**
 * Behind what a greedy step has taken no event fits it, up to the one that the next step takes: all of them are its own. Where the
 * step is left out, behind what came before it. A condition that ends the step at once lets go of that.
 */
const leavesNothing = (
  steps: readonly Step[],
  number: number,
  given: readonly Way[],
  events: readonly Event[]
): boolean => {
  const { where, until, times } = steps[number]!
  const next = given.findIndex(({ step }) => step > number)
  if (next < 0 || (times!.from === times!.to && !isLoop(steps[number]!))) return true
  const from = next === 0 ? given[0]!.at : given[next - 1]!.at + 1
  const behind = events.slice(from, given[next]!.at + 1)
  const is = (of: Condition | undefined, event: Event): boolean => fits(of, event, steps, given.slice(0, next), events)
  return (until !== undefined && is(until, behind[0]!)) || !behind.some(event => is(where, event))
}

/** The steps from here to the first one that cannot be left out. */
const untilSure = (steps: readonly Step[], from: number): readonly Step[] => {
  const sure = steps.findIndex((one, i) => i >= from && !canBePassed(one) && !isNot(one))
  return steps.slice(from, sure < 0 ? undefined : sure + 1)
}
const varies = (step: Step): boolean => step.times !== undefined && step.times.from !== step.times.to && !isLoop(step)

/** Of some patterns the words say nothing: of what is not to come directly behind another such, or with nothing to come behind it. */
export const isTold = ({ steps }: Pattern): boolean => {
  const told = (all: readonly Step[], inGroup: boolean): boolean =>
    all.every((one, i) => {
      const next = all[i + 1]
      const before = all[i - 1]
      if (isNot(one) && (inGroup || (before !== undefined && (canBePassed(before) || before.group !== undefined))))
        return false
      // What is not to come counts in some of the automaton's states of a step, by Flink's compiler, and not in others. Of a{1,3} after
      // "not c": in a0 a1 c2 a4 it does not, in a0 a1 c2 c3 a4 it does. A greedy loop that may be left out lets go of it where it ends
      // at once, and a group that may be left out, or what is in it, keeps it for what comes behind.
      if (one.contiguity === "notFollowedBy") {
        const behind = untilSure(all, i + 1)
        if ((before !== undefined && varies(before)) || behind.some(next => varies(next) || next.greedy || next.group))
          return false
      }
      // What a greedy step says of the step behind it, where that may be left out, is of one event alone.
      if (
        one.greedy === true &&
        (inGroup || (next !== undefined && (isNot(next) || canBePassed(next) || next.group !== undefined)))
      )
        return false
      // While another round may begin, its first step skips events, also if it is the step behind the group that comes.
      const isOpen = one.group !== undefined && one.times !== undefined && one.times.from !== one.times.to
      const skips =
        next === undefined
          ? inGroup
          : next.contiguity !== "followedByAny" || isOptional(next) || next.group !== undefined
      if (isOpen && one.inner !== "consecutive" && skips) return false
      return one.group === undefined || told(one.group, true)
    })
  const nots = steps.findLastIndex(isNot)
  return told(steps, false) && (nots < 0 || nots < steps.findLastIndex(one => !canBePassed(one)))
}
