import type { JoinType } from "@headrace/core"
import type { Duration } from "effect"
import { milliseconds, plainName } from "./check.ts"
import { type Draft, nearest, type Spec } from "./draft.ts"
import { check } from "./error.ts"
import type { KafkaSink } from "./sink.ts"
import { lateSink } from "./sinkDraft.ts"
import { keptCodec } from "./stateCodec.ts"
import type { Windowing } from "./window.ts"

export type { JoinType } from "@headrace/core"

/** What the function of a join is given: on the side that may be missing, undefined. */
export type Left<A, T extends JoinType> = T extends "right" | "full" ? A | undefined : A
export type Right<B, T extends JoinType> = T extends "left" | "full" ? B | undefined : B

/** What all joins by event time have: which records without a partner count, and where late ones go. */
export interface JoinOptions<A, B, T extends JoinType> {
  /** Its state is found by it. */
  readonly id: string
  /** Which records without a partner are given out. Default: `inner`, none. */
  readonly type?: T
  /** Where late records of each side go. Without it they are counted and dropped. */
  readonly late?: { readonly left?: KafkaSink<A>; readonly right?: KafkaSink<B> }
}

/**
 * What a window join says when it fires again, after late records or an early firing: `repeat`, all pairs anew; `retract`, as
 * `Change`s, what is new (`+I`) and what does not hold any more (`-D`), such as a record that has stayed alone until then.
 */
export type JoinUpdates = "repeat" | "retract"

/** Options of `windowJoin` and `coGroup`: pairs of one window, given out at its end and, where it fires again, once more. */
export interface WindowJoinOptions<A, B, T extends JoinType, U extends JoinUpdates> extends JoinOptions<A, B, T> {
  /** Default: `repeat`, as Flink does. */
  readonly updates?: U
}

/** Options of `intervalJoin`: pairs whose times lie within an interval of each other. Bounds are exact to the ms. */
export interface IntervalOptions<A, B, T extends JoinType> extends JoinOptions<A, B, T> {
  /** How much earlier (negative) or later than the left record the right one may be at least, and at most. */
  readonly from: SignedDuration
  /** Not before `from`: else PipelineError. */
  readonly to: SignedDuration
  /** Bounds that are not part of the interval. Default: both are. */
  readonly exclusive?: { readonly from?: boolean; readonly to?: boolean }
}

/** Options of `temporalJoin`: each event of the left finds the version of the right that holds at its event time. */
export interface TemporalOptions<B, T extends "inner" | "left"> {
  readonly id: string
  /** `left`: records without a version are given out too. Default: `inner`. */
  readonly type?: T
  /** Whether a version says that there is none from its time on. Called once for each. Default: none does. */
  readonly isDeleted?: (version: B) => boolean
}

/**
 * Options of `tableJoin` and `tableTableJoin`, by the latest row of each key in the order in which rows and events come,
 * whatever their event time is.
 */
export interface TableOptions<A, B, T extends JoinType> {
  readonly id: string
  /** What is given out though one side has no row. Default: `inner`, nothing. */
  readonly type?: T
  /** Whether a row says that there is none any more. Called once for each. Default: none does. */
  readonly isDeleted?: { readonly left?: (row: A) => boolean; readonly right?: (row: B) => boolean }
}

/** A duration, with a minus sign where it lies before. A number is in ms. */
export type SignedDuration = Duration.Input | `-${string}`

type AnyLate = { readonly left?: KafkaSink<never>; readonly right?: KafkaSink<never> } | undefined
type Combine = (left: never, right: never) => object

export const intervalDraft = (
  left: Draft,
  right: Draft,
  options: Omit<IntervalOptions<never, never, JoinType>, "late"> & { readonly late?: AnyLate },
  combine: Combine
): Draft => {
  const lowerMs = signed(`from of ${options.id}`, options.from) + (options.exclusive?.from === true ? 1 : 0)
  const upperMs = signed(`to of ${options.id}`, options.to) - (options.exclusive?.to === true ? 1 : 0)
  check(lowerMs <= upperMs, () => `the interval of ${options.id} is empty: it goes from ${lowerMs} to ${upperMs} ms`)
  return joinDraft(left, right, options.id, options.late, {
    kind: "intervalJoin",
    lowerMs,
    upperMs,
    type: options.type ?? "inner",
    combine,
    ...lateIds(options.late)
  })
}

export const windowJoinDraft = (
  left: Draft,
  right: Draft,
  window: Windowing<never>,
  options: {
    readonly id: string
    readonly type?: JoinType | "coGroup"
    readonly late?: AnyLate
    readonly updates?: JoinUpdates
  },
  combine: (left: never, right: never, key: never) => object
): Draft => {
  const { assigner, trigger, evictor, allowedLatenessMs } = window
  const type = options.type ?? "inner"
  return joinDraft(left, right, options.id, options.late, {
    kind: "windowJoin",
    assigner,
    trigger,
    evictor,
    allowedLatenessMs,
    type,
    updates: options.updates ?? "repeat",
    combine,
    ...lateIds(options.late)
  })
}

export const temporalDraft = (
  left: Draft,
  right: Draft,
  options: TemporalOptions<never, "inner" | "left">,
  combine: Combine
): Draft =>
  joinDraft(left, right, options.id, undefined, {
    kind: "temporalJoin",
    type: options.type ?? "inner",
    isDeleted: options.isDeleted ?? (() => false),
    combine
  })

export const tableDraft = (
  left: Draft,
  right: Draft,
  of: "stream" | "table",
  { id, type, isDeleted }: TableOptions<never, never, JoinType>,
  combine: Combine
): Draft =>
  joinDraft(left, right, id, undefined, {
    kind: "tableJoin",
    of,
    type: type ?? "inner",
    leftDeleted: isDeleted?.left ?? (() => false),
    rightDeleted: isDeleted?.right ?? (() => false),
    combine
  })

type WithoutCodecs<S> = S extends { readonly leftCodec: unknown } ? Omit<S, "leftCodec" | "rightCodec"> : never

const joinDraft = (left: Draft, right: Draft, id: string, late: AnyLate, spec: WithoutCodecs<Spec>): Draft => {
  plainName("an id", id)
  for (const [side, draft] of [
    ["left", left],
    ["right", right]
  ] as const)
    check(
      nearest(draft, "keyBy") !== undefined,
      () => `the ${side} side of ${id} has no key: call keyBy before it is joined`
    )
  const codecs = {
    leftCodec: keptCodec(left, id, "the records of its left side"),
    rightCodec: keptCodec(right, id, "the records of its right side")
  }
  return {
    id,
    fixed: true,
    inputs: [left, right],
    beside: [late?.left, late?.right].filter(sink => sink !== undefined).map(sink => lateSink(sink, id)),
    spec: { ...spec, ...codecs } as Spec
  }
}

const lateIds = (late: AnyLate) => ({ leftLate: late?.left?.id, rightLate: late?.right?.id })

const signed = (what: string, input: SignedDuration): number => {
  if (typeof input === "number") return input < 0 ? -milliseconds(what, -input, 0) : milliseconds(what, input, 0)
  if (typeof input === "string" && input.startsWith("-"))
    return -milliseconds(what, input.slice(1).trim() as Duration.Input, 0)
  return milliseconds(what, input as Duration.Input, 0)
}
