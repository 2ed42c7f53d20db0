import type { Agg } from "./agg.ts"
import { type Draft, nearest } from "./draft.ts"
import { check } from "./error.ts"
import type { Node } from "./plan.ts"
import type { KafkaSink } from "./sink.ts"
import type { Tumbling } from "./window.ts"

type Aggregates = Readonly<Record<string, Agg<never, unknown>>>
const OWN_FIELDS: readonly string[] = ["key", "windowStart", "windowEnd"]

export const windowDraft = (
  input: Draft,
  window: Tumbling,
  aggregates: Aggregates,
  late: KafkaSink<never> | undefined
): Draft => {
  const id = window.id ?? windowId(input, window)
  checkWindow(id, input, aggregates)
  return {
    id,
    fixed: true,
    input,
    beside: late === undefined ? [] : [lateSink(late, id)],
    spec: {
      kind: "window",
      sizeMs: window.sizeMs,
      offsetMs: window.offsetMs,
      allowedLatenessMs: window.allowedLatenessMs,
      aggregates: Object.fromEntries(Object.entries(aggregates).map(([name, agg]) => [name, agg.aggregate])),
      late: late?.id
    }
  }
}

const lateSink = ({ id, topic, schema, key }: KafkaSink<never>, window: string): Node => ({
  kind: "kafkaSink",
  id,
  input: window,
  topic,
  schema,
  key
})

const windowId = (input: Draft, window: Tumbling): string => {
  const names = [nearest(input, "source")?.topic, nearest(input, "keyBy")?.field, extent(window)]
  return `window:${names.filter(name => name !== undefined).join("/")}`
}

const extent = ({ sizeMs, offsetMs }: Tumbling): string =>
  offsetMs === 0 ? shortDuration(sizeMs) : `${shortDuration(sizeMs)}+${shortDuration(offsetMs)}`

/** `10s`, `250ms`: one way to write each duration, since ids are made of it. */
export const shortDuration = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`)

const checkWindow = (id: string, input: Draft, aggregates: Aggregates): void => {
  const names = Object.keys(aggregates)
  check(nearest(input, "keyBy") !== undefined, () => `${id} has no key: call keyBy before window`)
  check(names.length > 0, () => `${id} has no aggregates: give it at least one, such as { count: Agg.count() }`)
  const taken = names.find(name => OWN_FIELDS.includes(name))
  check(taken === undefined, () => `${id} has an aggregate called "${taken}", which the window sets itself: rename it`)
}
