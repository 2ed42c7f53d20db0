import type { Condition, Contiguity, Pattern as CorePattern, Inner, Skip, Step, Taken } from "@headrace/core"
import { checkPattern, PatternError } from "@headrace/core"
import type { Duration } from "effect"
import { milliseconds } from "./check.ts"

export { type PathStep, type Selected, type Selection, selected as select } from "./match.ts"
export { mermaid } from "./patternMermaid.ts"
export { orderOf, patternOf as fromSpec, type ReadPattern, readSpec } from "./patternReader.ts"
export { PatternSpec as Spec, patternJsonSchema as jsonSchema } from "./patternSpec.ts"

/** What a match holds: the events A of each step, in the order in which they were taken. */
export type Match<A, Names extends string> = { readonly [Name in Names]: readonly A[] }

/** What was taken so far, by the steps that took it: none where a step has taken nothing. */
export interface TakenEvents<A, Names extends string> {
  readonly of: (step: Names) => readonly A[]
}

/**
 * When an event fits. With one parameter it is asked once for each event; with two it also sees what was taken, and is asked for
 * each partial match. A pattern that was given as data brings conditions that are made already.
 */
export type Where<A, Names extends string> = ((event: A, taken: TakenEvents<A, Names>) => boolean) | Condition

type AnyWhere = ((event: never, taken: never) => boolean) | Condition
type Draft = {
  readonly steps: readonly Step[]
  /** The shortest time that was said of a step before the last, or within a group. */
  readonly withinMs: number | undefined
  /** What was said of the last step. */
  readonly lastMs?: number | undefined
  readonly skip: Skip
}

/**
 * A pattern of events A whose steps are called Names. Immutable: each method gives another one. Those about how often or
 * when are about the step before them. What cannot be matched is refused at once, by the name of its step (PatternError).
 */
export class Pattern<in A, Names extends string> {
  declare readonly "~pattern": (event: A) => Names
  private readonly draft: Draft

  constructor(draft: Draft) {
    this.draft = draft
  }

  /** A group by itself may end as no pattern may: it is checked where it stands. */
  static ofGroup<A, N extends string>({ draft }: Pattern<A, N>): Pattern<A, N> {
    return new Pattern({ steps: [groupStep(undefined, draft)], withinMs: draft.withinMs, skip: { kind: "none" } })
  }

  /** The very next event has to fit. */
  next<const Name extends string>(name: Fresh<Name, Names>, where?: Where<A, Names | Name>): Pattern<A, Names | Name> {
    return this.follow("next", name, where)
  }
  /** Events that do not fit are skipped; the first one that does is taken. */
  followedBy<const Name extends string>(
    name: Fresh<Name, Names>,
    where?: Where<A, Names | Name>
  ): Pattern<A, Names | Name> {
    return this.follow("followedBy", name, where)
  }
  /** Any later event that fits: each makes a match of its own. */
  followedByAny<const Name extends string>(
    name: Fresh<Name, Names>,
    where?: Where<A, Names | Name>
  ): Pattern<A, Names | Name> {
    return this.follow("followedByAny", name, where)
  }
  /** The very next event must not fit. */
  notNext(name: string, where?: Where<A, Names>): Pattern<A, Names> {
    return this.follow("notNext", name, where)
  }
  /** No event may fit before the next step's. As the last step: none within the time of the pattern. */
  notFollowedBy(name: string, where?: Where<A, Names>): Pattern<A, Names> {
    return this.follow("notFollowedBy", name, where)
  }

  /** A pattern of its own in the place of a step: it may come several times, or not at all. */
  nextGroup<N extends string>(group: Pattern<A, N>): Pattern<A, Names | N> {
    return this.group("next", group)
  }
  /** The same: events before it that do not fit are skipped. */
  followedByGroup<N extends string>(group: Pattern<A, N>): Pattern<A, Names | N> {
    return this.group("followedBy", group)
  }
  /** The same: any later group that fits makes a match of its own. */
  followedByAnyGroup<N extends string>(group: Pattern<A, N>): Pattern<A, Names | N> {
    return this.group("followedByAny", group)
  }

  /** The step's event has to fit this as well. */
  where(where: Where<A, Names>): Pattern<A, Names> {
    return this.last(step => ({ where: step.where === undefined ? condition(where) : both("and", step.where, where) }))
  }
  /** Or this. */
  or(where: Where<A, Names>): Pattern<A, Names> {
    return this.last(step => ({ where: step.where === undefined ? condition(where) : both("or", step.where, where) }))
  }

  /** Exactly so many events, or from so many to so many. */
  times(from: number, to: number = from): Pattern<A, Names> {
    return this.often({ from, to })
  }
  /** One event at least: as many as fit. */
  oneOrMore(): Pattern<A, Names> {
    return this.often({ from: 1, to: Number.POSITIVE_INFINITY })
  }
  /** So many events at least. */
  timesOrMore(from: number): Pattern<A, Names> {
    return this.often({ from, to: Number.POSITIVE_INFINITY })
  }
  /** The events of the step follow each other directly. */
  consecutive(): Pattern<A, Names> {
    return this.following("consecutive")
  }
  /** Events of the step may be left out, also where they fit: each combination is a match. */
  allowCombinations(): Pattern<A, Names> {
    return this.following("combinations")
  }
  /** An event that fits the step belongs to it, and to no later one. */
  greedy(): Pattern<A, Names> {
    return this.last(() => ({ greedy: true }))
  }
  /** There are matches without the step as well. */
  optional(): Pattern<A, Names> {
    return this.last(step => {
      refuse(step.optional === true, `"${step.name}" is optional twice: say it once`)
      return { optional: true }
    })
  }
  /** Ends the loop of the step: an event that fits this is neither taken nor skipped by it. */
  until(where: Where<A, Names>): Pattern<A, Names> {
    return this.last(step => {
      refuse(step.until !== undefined, `"${step.name}" has two untils: join them to one`)
      return { until: condition(where) }
    })
  }
  /** Each event of the step comes less than so much after the one before it. */
  gap(duration: Duration.Input): Pattern<A, Names> {
    return this.last(step => ({ gapMs: milliseconds(`the gap of "${step.name}"`, duration, 0) || undefined }))
  }

  /**
   * The last event comes less than so much after the first. Said behind several steps, the shortest time counts; behind one of
   * them twice, the later one. Said within a group it is of the whole pattern as well, but for the last step of the group: there it
   * is refused, since in Flink it does nothing.
   */
  within(duration: Duration.Input): Pattern<A, Names> {
    return new Pattern({ ...this.draft, lastMs: milliseconds("the time of a pattern", duration, 0) })
  }

  /** A match drops the others that began with the same event. */
  skipToNext(): Pattern<A, Names> {
    return new Pattern({ ...this.draft, skip: { kind: "toNext" } })
  }
  /** A match drops the others that began within it. */
  skipPastLast(): Pattern<A, Names> {
    return new Pattern({ ...this.draft, skip: { kind: "pastLast" } })
  }
  /** A match drops the others that began before the first event of one of its steps. */
  skipToFirst(step: Names): Pattern<A, Names> {
    return new Pattern({ ...this.draft, skip: { kind: "toFirst", step } })
  }
  /** A match drops the others that began before the last event of one of its steps. */
  skipToLast(step: Names): Pattern<A, Names> {
    return new Pattern({ ...this.draft, skip: { kind: "toLast", step } })
  }

  /** As data and functions. Throws PatternError where it cannot be matched. */
  done(): CorePattern {
    const { steps, withinMs, lastMs, skip } = this.draft
    const pattern = { steps, withinMs: shorter(withinMs, lastMs), skip }
    checkPattern(pattern)
    return pattern
  }

  private follow<N extends string>(contiguity: Contiguity, name: string, where: AnyWhere | undefined): Pattern<A, N> {
    return this.append({ name, contiguity, where: where && condition(where) }, undefined)
  }

  private group<N extends string>(contiguity: Contiguity, group: Pattern<A, N>): Pattern<A, Names | N> {
    return this.append(groupStep(contiguity, group.draft), group.draft.withinMs)
  }

  /** `ownMs`: the time that was said within the step. */
  private append<N extends string>(step: Step, ownMs: number | undefined): Pattern<A, N> {
    const { steps, withinMs, lastMs, skip } = this.draft
    return new Pattern({ steps: [...steps, step], withinMs: shorter(shorter(withinMs, lastMs), ownMs), skip })
  }

  private often(times: Step["times"]): Pattern<A, Names> {
    return this.last(step => {
      refuse(step.times !== undefined, `"${step.name}" says twice how often it comes: say it once`)
      return { times }
    })
  }

  private following(inner: Inner): Pattern<A, Names> {
    return this.last(step => {
      refuse(step.inner !== undefined, `"${step.name}" says twice how its events follow each other: say it once`)
      return { inner }
    })
  }

  private last(change: (step: Step) => Partial<Step>): Pattern<A, Names> {
    const last = this.draft.steps.at(-1)!
    return new Pattern({ ...this.draft, steps: [...this.draft.steps.slice(0, -1), { ...last, ...change(last) }] })
  }
}

const shorter = (ms: number | undefined, other: number | undefined): number | undefined =>
  ms === undefined || other === undefined ? (ms ?? other) : Math.min(ms, other)

/** What a match drops, and a time at the end of the group, would do nothing there: they are said of the whole pattern. */
const groupStep = (contiguity: Contiguity | undefined, { steps, lastMs, skip }: Draft): Step => {
  const name = `(${steps.map(step => step.name).join(" ")})`
  refuse(lastMs !== undefined, `The group "${name}" has a within: say it of the whole pattern, or a gap of its steps`)
  refuse(skip.kind !== "none", `The group "${name}" has a skip strategy: give it to the whole pattern`)
  return { name, contiguity, group: steps }
}

/** What a step's name is asked to be where another one has it. */
export interface NameTaken<Name> {
  readonly "another step of the pattern has this name": Name
}
type Fresh<Name extends string, Names extends string> = Name extends Names ? Name & NameTaken<Name> : Name

/**
 * Begins a pattern with its first step. An event that fits begins a match, whatever else is under way.
 *
 * ```ts
 * import { Pattern } from "headrace"
 *
 * type Payment = { readonly cents: number }
 * const trial = Pattern.begin("small", (p: Payment) => p.cents < 1_00)
 *   .timesOrMore(2)
 *   .followedBy("large", (p, taken) => p.cents > 100 * taken.of("small").length * 1_00)
 *   .within("1 minute")
 * trial.done().steps.map(step => step.name) // => ["small", "large"]
 * ```
 */
export const begin = <A, const Name extends string>(name: Name, where?: Where<A, Name>): Pattern<A, Name> =>
  new Pattern({ steps: [{ name, where: where && condition(where) }], withinMs: undefined, skip: { kind: "none" } })

/** Begins a pattern with one that may come several times, or not at all. */
export const beginGroup = <A, N extends string>(group: Pattern<A, N>): Pattern<A, N> => Pattern.ofGroup(group)

const refuse = (wrong: boolean, message: string): void => {
  if (wrong) throw new PatternError(message)
}

const condition = (where: AnyWhere): Condition => {
  if (typeof where === "object") return where
  return where.length > 1
    ? { kind: "iterative", test: where as (event: never, taken: Taken) => boolean }
    : { kind: "test", test: where as (event: never) => boolean }
}

const both = (kind: "and" | "or", before: Condition, where: AnyWhere): Condition => ({
  kind,
  of: [before, condition(where)]
})
