/** What a condition may look at beside the event: what the partial match has taken so far. */
export interface Taken {
  /** The events of a step, in the order in which they were taken; empty if there are none. */
  readonly of: (step: string) => readonly object[]
}

/** What stands in a field of an event, by its path, is one of these values; numbers and bigints of one value are the same. */
export interface Among {
  readonly field: string
  readonly read: (event: object) => unknown
  readonly values: readonly unknown[]
}

/** `among`: it holds nowhere else. Of many such tests those that may hold are looked up by the value, and the others not asked. */
export interface TestCondition {
  readonly kind: "test"
  readonly test: (event: never) => boolean
  readonly among?: Among | undefined
}

/**
 * When an event fits. `test` sees the event alone: it is asked once for each event, however many partial matches wait for the
 * answer. `iterative` also sees what was taken, and is asked for each partial match.
 */
export type Condition =
  | TestCondition
  | { readonly kind: "iterative"; readonly test: (event: never, taken: Taken) => boolean }
  | { readonly kind: "and" | "or"; readonly of: readonly Condition[] }
  | { readonly kind: "not"; readonly of: Condition }

/** How a step follows the one before it. The first step of all has none. */
export type Contiguity = "next" | "followedBy" | "followedByAny" | "notNext" | "notFollowedBy"

/** How many events a step takes: from `from` to `to`, which is Infinity for a loop. */
export interface Times {
  readonly from: number
  readonly to: number
}

/** How events of one step follow each other: `skip` over what does not fit, by default. */
export type Inner = "skip" | "consecutive" | "combinations"

/** A step of a pattern: one or several events, or a group of steps. */
export interface Step {
  readonly name: string
  readonly contiguity?: Contiguity | undefined
  /** Undefined: every event. */
  readonly where?: Condition | undefined
  /** In place of a condition: a pattern of its own. Its name is in no match. */
  readonly group?: readonly Step[] | undefined
  /** Undefined: exactly one event. */
  readonly times?: Times | undefined
  readonly inner?: Inner | undefined
  readonly greedy?: boolean | undefined
  readonly optional?: boolean | undefined
  /** Ends a loop: an event that fits is neither taken nor skipped by it. */
  readonly until?: Condition | undefined
  /** Less than so much after the event before it, in ms. */
  readonly gapMs?: number | undefined
}

/** Which matches go when one has been found. */
export type Skip =
  | { readonly kind: "none" }
  /** Those that began with the same event. */
  | { readonly kind: "toNext" }
  /** Those that began within it. */
  | { readonly kind: "pastLast" }
  /** Those that began before the first, or the last, event of one of its steps. */
  | { readonly kind: "toFirst" | "toLast"; readonly step: string }

/** What to look for in the events of a key, step by step: checked by `checkPattern` before it is compiled. */
export interface Pattern {
  readonly steps: readonly Step[]
  /** The last event comes less than so much after the first, in ms. Undefined: at any time. */
  readonly withinMs?: number | undefined
  readonly skip: Skip
}

/** No event may fit it. */
export const isNot = ({ contiguity }: Step): boolean => contiguity === "notNext" || contiguity === "notFollowedBy"
/** Any number of events may fit it. */
export const isLoop = ({ times }: Step): boolean => times !== undefined && times.to === Number.POSITIVE_INFINITY
/** A match may pass it over, as its maker said. */
export const isOptional = (step: Step): boolean => step.optional === true || step.times?.from === 0
/** Whether a match may have no event of it. */
export const canBePassed = (step: Step): boolean =>
  isNot(step) || isOptional(step) || step.group?.every(canBePassed) === true
