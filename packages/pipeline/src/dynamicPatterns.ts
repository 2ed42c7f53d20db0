import type { Applied, Path, PatternChange, PatternOf, Unreadable } from "@headrace/core"
import { Schema } from "effect"
import { plainName } from "./check.ts"
import { type Draft, nearest, schemaAt, step } from "./draft.ts"
import { check } from "./error.ts"
import { type EventOptions, eventsOf } from "./match.ts"
import type { Node } from "./nodes.ts"
import { acceptedBefore, decide, Known } from "./patternControl.ts"
import { type Control, type Match, Reply, type Topic } from "./patterns.ts"
import { processDraft, sideDraft } from "./process.ts"
import { value } from "./state.ts"

/** What goes to all partitions of the step. */
const Change = Schema.Struct({
  id: Schema.String,
  turn: Schema.Int,
  version: Schema.Int,
  status: Schema.Literals(["active", "paused", "removed"]),
  spec: Schema.String,
  request: Schema.String,
  said: Schema.Number
}).annotate({ identifier: "PatternChange" })

/** What its partitions tell each other. */
export const Heard = Schema.Struct({
  change: Schema.String,
  partition: Schema.Int,
  watermark: Schema.Number
}).annotate({ identifier: "PatternHeard" })

/** Two steps: one for each control record, which accepts or refuses it, and the one that looks for patterns. */
export const dynamicDraft = (input: Draft, id: string, topic: Topic, options: EventOptions<never>): Draft => {
  plainName("an id", id)
  check(nearest(input, "keyBy") !== undefined, () => `${id} has no key: call keyBy before matchDynamic`)
  const { codec, maxPartials, counted, order, late, beside } = eventsOf(input, id, options)
  const agreed: Node = { kind: "side", id: `${id}/agreed`, input: id, name: "agreed", schema: Heard }
  const applied: Node = { kind: "side", id: `${id}/applied`, input: id, name: "applied", schema: undefined }
  const answer: Node = { kind: "map", id: `${id}/answer`, input: applied.id, map: answerOf }
  return {
    id,
    fixed: true,
    inputs: [input, acceptDraft(id, topic, schemaAt(input))],
    beside: [...beside, agreed, applied, answer, replySink(topic, answer.id, `kafka:${topic.replies}/applied`)],
    spec: {
      kind: "dynamicPattern",
      heard: `exchange:${id}/agreed`,
      agreed: agreed.id,
      read: reading(counted, schemaAt(input)),
      codec,
      comparator: order,
      late,
      maxPartials,
      counted
    }
  }
}

/** Reads the control topic, in the partition of a pattern's id: what it lets pass is in order for each pattern. */
const acceptDraft = (id: string, topic: Topic, events: Schema.Top | undefined): Draft => {
  const source: Draft = { ...topic.control, fixed: true, inputs: [], beside: [] }
  const key = (record: Control) => record.id
  const keyed = step(source, "keyBy:id", { kind: "keyBy", key, field: "id" })
  const accept = processDraft(keyed, `${id}/accept`, {
    emits: Change,
    sides: { replies: Reply },
    state: { known: value(Known) },
    onRecord: (record: Control, context: Accepting) => {
      const { id, version, request } = record
      const decision = decide(record, context.timestamp, context.state.known.get(), events)
      if (decision.change !== undefined) {
        const { turn, version, status, spec } = decision.change
        context.state.known.set({ turn, version, status, spec })
        context.emit(decision.change)
      }
      const refused = decision.change === undefined ? decision.refused : undefined
      context.emitTo("replies", {
        ...{ id, version, request, from: null },
        ...{ accepted: refused === undefined, reason: refused ?? "" }
      })
    }
  })
  const side = sideDraft(accept, "replies", Reply)
  const replies = replySink(topic, side.id, `kafka:${topic.replies}`)
  return { ...accept, beside: [{ ...side.spec, id: side.id, input: accept.id } as Node, replies] }
}

const replySink = ({ replies }: Topic, input: string, id: string): Node => ({
  kind: "kafkaSink",
  id,
  input,
  topic: replies,
  schema: Reply,
  key: (reply: Reply) => reply.id
})

const answerOf = ({ change, from, refused }: Applied): typeof Reply.Encoded => ({
  id: change.id,
  version: change.version,
  request: change.request,
  accepted: refused === undefined,
  reason: refused ?? "",
  from
})

interface Accepting {
  readonly timestamp: number
  readonly state: { readonly known: { readonly get: () => Known | undefined; readonly set: (known: Known) => void } }
  readonly emit: (change: PatternChange) => void
  readonly emitTo: (side: "replies", reply: typeof Reply.Encoded) => void
}

/** By the same checks as of a word that comes now. `events`: the schema of what patterns look at. */
const reading =
  (explain: boolean, events: Schema.Top | undefined) =>
  (change: PatternChange): PatternOf | Unreadable => {
    const { id, version, spec } = change
    const read = acceptedBefore(change, events)
    if ("refused" in read) return read
    const select = (
      match: Readonly<Record<string, readonly object[]>>,
      key: string,
      path?: Path
    ): Match<object, string> => ({
      pattern: id,
      version,
      key,
      steps: Object.entries(match).map(([name, events]) => ({ step: name, events })),
      path:
        explain && path !== undefined ? path().map(({ event: _, ignored = 0, ...how }) => ({ ...how, ignored })) : []
    })
    return { id, pattern: read.done(), what: `${version} ${spec}`, select, selectTimeout: select }
  }
