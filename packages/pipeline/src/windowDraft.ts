import type { WindowAssigner } from "@headrace/core"
import type { Agg } from "./agg.ts"
import { type Draft, nearest } from "./draft.ts"
import { check } from "./error.ts"
import type { WindowNode } from "./nodes.ts"
import type { KafkaSink } from "./sink.ts"
import { lateSink } from "./sinkDraft.ts"
import { keptCodec } from "./stateCodec.ts"
import type { Windowing } from "./window.ts"

type Aggregates = Readonly<Record<string, Agg<never, unknown>>>
const OWN_FIELDS: readonly string[] = ["key", "windowStart", "windowEnd"]

export interface WindowDraftOptions {
  readonly aggregates: Aggregates
  readonly late: KafkaSink<never> | undefined
  readonly updates: WindowNode["updates"]
}

export const windowDraft = (
  input: Draft,
  window: Windowing<never>,
  { aggregates, late, updates }: WindowDraftOptions
): Draft => {
  const id = window.id ?? windowId(input, window)
  checkWindow(id, input, window, aggregates)
  const { assigner, trigger, evictor, allowedLatenessMs } = window
  return {
    id,
    fixed: true,
    inputs: [input],
    beside: late === undefined ? [] : [lateSink(late, id)],
    spec: {
      kind: "window",
      assigner,
      trigger,
      evictor,
      allowedLatenessMs,
      aggregates: Object.fromEntries(Object.entries(aggregates).map(([name, agg]) => [name, agg.aggregate])),
      element: elementOf(id, input, window, aggregates),
      late: late?.id,
      updates,
      all: undefined
    }
  }
}

const elementOf = (id: string, input: Draft, window: Windowing<never>, aggregates: Aggregates) => {
  if (!keepsRecords(window, aggregates)) return undefined
  const custom = Object.keys(aggregates).find(name => aggregates[name]!.aggregate.kind === "custom")
  return keptCodec(input, id, `its records for ${custom === undefined ? "its evictor" : `"${custom}"`} to see`)
}

/** Elements are kept for evictors and lists, and whole ones where an evictor or an aggregate of one's own has to see them. */
const keepsRecords = ({ evictor }: Windowing<never>, aggregates: Aggregates): boolean => {
  const kinds = Object.values(aggregates).map(({ aggregate }) => aggregate.kind)
  return (
    evictor?.ofRecords === true || ((evictor !== undefined || kinds.includes("collect")) && kinds.includes("custom"))
  )
}

const windowId = (input: Draft, { assigner }: Windowing<never>): string => {
  const names = [nearest(input, "source")?.topic, nearest(input, "keyBy")?.field, extent(assigner)]
  return `window:${names.filter(name => name !== undefined).join("/")}`
}

/** What is part of a window's id: its size, and what it is beside that. */
export const extent = (assigner: WindowAssigner): string => {
  switch (assigner.kind) {
    case "tumbling":
      return `${shortDuration(assigner.sizeMs)}${shifted(assigner)}`
    case "sliding":
      return `${shortDuration(assigner.sizeMs)}/${shortDuration(assigner.slideMs)}${shifted(assigner)}`
    case "cumulative":
      return `to${shortDuration(assigner.sizeMs)}/${shortDuration(assigner.stepMs)}${shifted(assigner)}`
    case "calendar":
      return `${assigner.unit}@${assigner.timeZone}`
    case "session":
      return `session${typeof assigner.gapMs === "number" ? shortDuration(assigner.gapMs) : ""}`
    case "global":
      return "global"
  }
}

const shifted = ({ offsetMs }: { readonly offsetMs: number }): string =>
  offsetMs === 0 ? "" : `${offsetMs < 0 ? "" : "+"}${shortDuration(offsetMs)}`

/** `10s`, `250ms`: one way to write each duration, since ids are made of it. */
export const shortDuration = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`)

const checkWindow = (id: string, input: Draft, window: Windowing<never>, aggregates: Aggregates): void => {
  const names = Object.keys(aggregates)
  check(nearest(input, "keyBy") !== undefined, () => `${id} has no key: call keyBy before window`)
  check(names.length > 0, () => `${id} has no aggregates: give it at least one, such as { count: Agg.count() }`)
  const taken = names.find(name => OWN_FIELDS.includes(name))
  check(taken === undefined, () => `${id} has an aggregate called "${taken}", which the window sets itself: rename it`)
  const merging = window.assigner.kind === "session" && window.evictor === undefined
  for (const [name, { aggregate }] of Object.entries(aggregates)) {
    if (aggregate.kind !== "custom") continue
    check(
      !merging || aggregate.merge !== undefined || keepsRecords(window, aggregates),
      () => `${id}: sessions become one, and the aggregate "${name}" does not say how: give it a merge`
    )
  }
}
