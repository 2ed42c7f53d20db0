import { Schema } from "effect"
import { Pattern, Pipeline, Sink, Source } from "headrace"
import { TestDriver } from "headrace-test"
import { type Case, difference, type Runner, type Variant } from "./case.ts"

const Event = Schema.Struct({
  id: Schema.Number,
  key: Schema.String,
  name: Schema.String,
  value: Schema.Number,
  ts: Schema.Number
})
type Event = (typeof Event)["Type"]

// ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────

const Found = Schema.Struct({ key: Schema.String, ids: Schema.Array(Schema.Unknown) })

/** The ids by step, in the order of the steps' names; the cases leave out steps without events. */
const ids = (match: Partial<Readonly<Record<string, readonly Event[]>>>) =>
  Object.entries(match)
    .filter(([, events]) => events!.length > 0)
    .map(([step, events]) => [step, events!.map(({ id }) => id)] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))

/** Flink has none. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER

const pipelineOf = (data: unknown): Pipeline.Pipeline => {
  const spec = Pattern.readSpec(data, Event)
  const order = Pattern.orderOf(spec)
  const pattern: Pattern.Pattern<Event, string> = Pattern.fromSpec(spec)
  const matched = Pipeline.make("conformance")
    .from(Source.kafka("in", Event, { key: "key", eventTime: event => event.ts }))
    .keyBy(event => event.key)
    .match("pattern", pattern, {
      select: (match, key) => ({ key, ids: ids(match) }),
      timedOut: (partial, key) => ({ key, ids: ids(partial) }),
      late: Sink.kafka("late", Event),
      maxPartials: NO_LIMIT,
      ...(order === undefined ? {} : { order })
    })
  return Pipeline.all(matched.to(Sink.kafka("out", Found)), matched.timedOut.to(Sink.kafka("timedOut", Found)))
}

type Rows = readonly { readonly key: string }[] | undefined

const rows = (all: Rows, field: "match" | "partial") =>
  (all ?? []).map(row => {
    const match = (row as unknown as Record<string, Readonly<Record<string, readonly number[]>>>)[field]!
    return { key: row.key, ids: Object.entries(match).toSorted(([a], [b]) => (a < b ? -1 : 1)) }
  })

export const cep: Runner = (one: Case, variant: Variant) => {
  const driver = new TestDriver(pipelineOf(one.spec), {
    partitions: variant.partitions,
    watermarks: "manual"
  })
  for (const [i, step] of one.steps.entries()) {
    if (step.event !== undefined) driver.push("in", step.event)
    if (step.watermark !== undefined) driver.watermark(step.watermark === "max" ? "end" : step.watermark)
    const { timeouts } = step as { readonly timeouts?: Rows }
    const late = driver.values<Event>("late").map(({ id }) => id)
    const wrong =
      difference("emitted", i, driver.values("out"), rows(step.emits as Rows, "match")) ??
      difference("timed out", i, driver.values("timedOut"), rows(timeouts, "partial")) ??
      difference("late", i, late, step.late ?? [])
    if (wrong !== undefined) return wrong
    if (step.restore === true || variant.restores) driver.restore()
  }
  return undefined
}

/** Refused while it is built, by a message that says what. */
export const cepInvalid: Runner = one => {
  try {
    pipelineOf(one.spec)
  } catch (error) {
    return error instanceof Error && error.name === "PatternError" ? undefined : `refused by ${String(error)}`
  }
  return "it was not refused"
}
