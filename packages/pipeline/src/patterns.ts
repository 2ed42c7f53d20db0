import { Schema } from "effect"
import { topicName } from "./check.ts"
import * as DeadLetter from "./deadLetter.ts"
import { kafka, type Source } from "./source.ts"

export { checkedSpec } from "./patternControl.ts"

/**
 * What is said about a pattern on a control topic, as its last word: the topic is compacted, and keyed by the pattern's id. A
 * pattern that rests or goes is said so by another record of the same version; a changed one has a greater version.
 */
export class Control extends Schema.Class<Control>("PatternControl")({
  id: Schema.String,
  version: Schema.Int,
  /** `active`, `paused` or `removed`. */
  status: Schema.String,
  /** The pattern, as JSON: see `Pattern.Spec`. Empty where it is removed. */
  spec: Schema.String,
  /** Stands in the reply, for whoever waits for it. */
  request: Schema.String
}) {}

/** What became of a record of the control topic. */
export class Reply extends Schema.Class<Reply>("PatternReply")({
  id: Schema.String,
  version: Schema.Int,
  request: Schema.String,
  accepted: Schema.Boolean,
  /** Why it was refused; else empty. */
  reason: Schema.String,
  /** The event time behind which it holds: of a second reply, once it does. */
  from: Schema.NullOr(Schema.Number)
}) {}

/** Where patterns come from, and where what became of them is said. */
export interface Topic {
  /** Compacted and keyed by the pattern's id. */
  readonly control: Source<Control>
  /** The topic of `Reply`s. */
  readonly replies: string
}

/** A match of a pattern that came as data. */
export interface Match<A, K> {
  /** The id of the pattern. */
  readonly pattern: string
  /** Of the pattern that found it: not of the one that holds by now. */
  readonly version: number
  readonly key: K
  /** Its steps in the order of their first events, each with its events in the order in which they were taken. */
  readonly steps: readonly { readonly step: string; readonly events: readonly A[] }[]
  /** How it came about, one entry an event: with the option `explain` of `matchDynamic`, else empty. */
  readonly path: readonly Step[]
}

/** An event that a match took: how it followed, how long after the one before, and how many of its key were ignored between them. */
const Step = Schema.Struct({
  step: Schema.String,
  how: Schema.String,
  at: Schema.Number,
  afterMs: Schema.Number,
  ignored: Schema.Int
})
export type Step = typeof Step.Type

/** The schema of matches, by that of the events and of the key. */
export const matchOf = <A, AE, K extends string | number | bigint = string, KE = string>(
  event: Schema.Codec<A, AE>,
  key: Schema.Codec<K, KE> = Schema.String as never
): Schema.Codec<Match<A, K>, Match<AE, KE>> =>
  Schema.Struct({
    pattern: Schema.String,
    version: Schema.Int,
    key,
    steps: Schema.Array(Schema.Struct({ step: Schema.String, events: Schema.Array(event) })),
    path: Schema.Array(Step.annotate({ identifier: "PatternStep" }))
  }).annotate({ identifier: "PatternMatch" }) as never

/** Where what is said about a control topic goes. Topics are made where they are missing. */
export interface TopicOptions {
  /** Where it is said what became of each record. Default: `<topic>.replies`. */
  readonly replies?: string
  /** Where records go that are no `Control`, or stand under another key. Default: `<topic>.undecodable`. */
  readonly undecodable?: string
}

/** With these a control topic is made where it is missing: the last word on each pattern stays. */
export const TOPIC_SETTINGS = { "cleanup.policy": "compact" }

/** The control topic of `matchDynamic`. It is made, compacted, where it is missing. */
export const topic = (name: string, options: TopicOptions = {}): Topic => {
  const { replies = `${name}.replies`, undecodable = `${name}.undecodable` } = options
  const control = kafka(name, Control, { key: "id", onDecodeError: DeadLetter.to(undecodable) })
  return {
    control: { ...control, spec: { ...control.spec, made: TOPIC_SETTINGS } },
    replies: topicName(replies)
  }
}
