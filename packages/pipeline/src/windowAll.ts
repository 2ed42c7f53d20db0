import type { GridAssigner } from "@headrace/core"
import { Schema } from "effect"
import { type Draft, nearest, step } from "./draft.ts"
import type { WindowNode } from "./nodes.ts"
import type { Windowing } from "./window.ts"
import { extent, type WindowDraftOptions, windowDraft } from "./windowDraft.ts"

/** What crosses in place of events: how many there were, and the row of the aggregates over them. */
export const WindowPart = Schema.Struct({ size: Schema.Int, row: Schema.Uint8Array }).annotate({
  identifier: "WindowPart"
})

/**
 * A window of one key that all records have, and none of whose results carries it. Where the events of a transaction can be folded
 * before they cross, they are.
 */
export const windowAllDraft = (input: Draft, window: Windowing<never>, options: WindowDraftOptions): Draft => {
  const id = window.id ?? `windowAll:${nearest(input, "source")?.topic ?? ""}/${extent(window.assigner)}`
  const keyed: Draft = {
    ...step(input, `all:${id}`, { kind: "keyBy", key: () => "", field: undefined }),
    fixed: true
  }
  const draft = windowDraft(keyed, { ...window, id }, options)
  const spec = draft.spec as WindowNode
  const all: Draft = { ...draft, spec: { ...spec, all: folds(spec) ? "parts" : "events" } }
  const map = options.updates === "retract" ? withoutKeyInChange : withoutKey
  return step(all, `results:${id}`, { kind: "map", map })
}

/** Where nothing has to see each event, or its place among the others. */
const folds = ({ assigner, trigger, evictor, late, aggregates }: WindowNode): boolean =>
  trigger === undefined &&
  evictor === undefined &&
  late === undefined &&
  isGrid(assigner) &&
  Object.values(aggregates).every(one => one.kind !== "collect" && (one.kind !== "custom" || one.merge !== undefined))

const isGrid = (assigner: WindowNode["assigner"]): assigner is GridAssigner =>
  assigner.kind !== "session" && assigner.kind !== "global"

const withoutKey = ({ key: _, ...result }: { readonly key: string }): object => result

const withoutKeyInChange = ({
  op,
  record
}: {
  readonly op: string
  readonly record: { readonly key: string }
}): object => ({
  op,
  record: withoutKey(record)
})
