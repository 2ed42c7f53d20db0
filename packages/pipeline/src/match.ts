import type { Pattern as CorePattern, Step } from "@headrace/core"
import type { Schema } from "effect"
import { plainName } from "./check.ts"
import { type Draft, nearest, schemaAt } from "./draft.ts"
import { check } from "./error.ts"
import type { Match, Pattern } from "./pattern.ts"
import type { KafkaSink } from "./sink.ts"
import { lateSink } from "./sinkDraft.ts"
import { jsonCodec } from "./stateCodec.ts"

export interface MatchOptions<A, K, Names extends string, B, T> {
  /** Makes a record of a match. Called once for each, on plain objects. */
  readonly select: (match: Match<A, Names>, key: K) => B
  /** Makes a record of a partial match whose time is over: they are read by `timedOut`. */
  readonly timedOut?: (partial: Partial<Match<A, Names>>, key: K) => T
  /** The order of events of one time. Default: that of their arrival. */
  readonly order?: (a: A, b: A) => number
  /** Where late events go. Without it they are counted and dropped. */
  readonly late?: KafkaSink<A>
}

type AnyOptions = MatchOptions<never, never, never, object, object>

export const matchDraft = (input: Draft, id: string, pattern: Pattern<never, never>, options: AnyOptions): Draft => {
  plainName("an id", id)
  check(nearest(input, "keyBy") !== undefined, () => `${id} has no key: call keyBy before match`)
  const schema = schemaAt(input) as Schema.Codec<unknown, unknown> | undefined
  check(
    schema !== undefined,
    () => `${id} keeps events, and their schema is not known: say it with as(schema) before keyBy`
  )
  const { select, timedOut, order, late } = options
  const done = pattern.done()
  return {
    id,
    fixed: true,
    inputs: [input],
    beside: late === undefined ? [] : [lateSink(late, id)],
    spec: {
      kind: "pattern",
      pattern: done,
      what: showPattern(done),
      codec: jsonCodec(schema!),
      comparator: order,
      select,
      selectTimeout: timedOut,
      late: late?.id
    }
  }
}

/** What a pattern is, but for its conditions: `small{2,} followedBy large within 60000 ms`. */
export const showPattern = ({ steps, withinMs, skip }: CorePattern): string =>
  [
    showSteps(steps),
    ...(withinMs === undefined ? [] : [`within ${withinMs} ms`]),
    ...(skip.kind === "none" ? [] : [`skip ${skip.kind}${"step" in skip ? ` ${skip.step}` : ""}`])
  ].join(" ")

const showSteps = (steps: readonly Step[]): string =>
  steps.map(step => [step.contiguity, showStep(step)].filter(one => one !== undefined).join(" ")).join(" ")

const showStep = (step: Step): string => {
  const { group, name, times, inner, greedy, optional, until, gapMs } = step
  const often = times === undefined ? "" : `{${times.from},${times.to === Number.POSITIVE_INFINITY ? "" : times.to}}`
  const words = [
    inner,
    greedy && "greedy",
    optional && "optional",
    until && "until",
    gapMs !== undefined && `gap ${gapMs} ms`
  ]
  const said = words.filter(word => typeof word === "string").map(word => ` ${word}`)
  return `${group === undefined ? name : `(${showSteps(group)})`}${often}${said.join("")}`
}
