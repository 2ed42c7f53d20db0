import { Schema } from "effect"
import { Sink } from "headrace"
import type { Case, Row, Runner, Variant } from "./case.ts"
import { Event, events, timeOf } from "./events.ts"
import { runStream } from "./stream.ts"
import { type WindowSpec, windowing } from "./windowing.ts"

interface Spec extends WindowSpec {
  readonly join: {
    readonly type: string
    readonly lower: number
    readonly upper: number
    readonly lowerInclusive: boolean
    readonly upperInclusive: boolean
  }
}

const Pair = Schema.Struct({
  key: Schema.String,
  left: Schema.NullOr(Schema.Number),
  right: Schema.NullOr(Schema.Number),
  leftTs: Schema.NullOr(Schema.Number),
  rightTs: Schema.NullOr(Schema.Number)
})
const Group = Schema.Struct({
  key: Schema.String,
  left: Schema.Array(Schema.Number),
  right: Schema.Array(Schema.Number)
})

const pair = (left: Event, right: Event | undefined): (typeof Pair)["Type"] => ({
  key: left.key,
  left: left.value,
  right: right?.value ?? null,
  leftTs: left.ts,
  rightTs: right?.ts ?? null
})

const values = (all: readonly Event[]): readonly number[] => all.map(({ value }) => value)

const sides = () => {
  const keyed = (topic: string) => events(topic).keyBy(event => event.key)
  return [keyed("left"), keyed("right")] as const
}

const late = { left: Sink.kafka("late", Event), right: Sink.kafka("late", Event, { id: "late-right" }) }
const id = "join"

const interval = ({ join }: Spec) => {
  const [left, right] = sides()
  const exclusive = { from: !join.lowerInclusive, to: !join.upperInclusive }
  return left.intervalJoin(right, { id, from: join.lower, to: join.upper, exclusive, late }, pair).to(Sink.kafka("out", Pair))
}

const temporal = ({ join }: Spec) => {
  const [left, right] = sides()
  const type = join.type === "temporal-left" ? "left" : "inner"
  return left
    .temporalJoin(right, { id, type, isDeleted: version => version.op === "delete" }, pair)
    .to(Sink.kafka("out", Pair))
}

const windowed = (spec: Spec) => {
  const [left, right] = sides()
  const window = windowing(spec)
  return spec.join.type === "window-inner"
    ? left.windowJoin(right, window, { id, late }, pair).to(Sink.kafka("out", Pair))
    : left
        .coGroup(right, window, { id, late }, (one, other, key) => ({ key, left: values(one), right: values(other) }))
        .to(Sink.kafka("out", Group))
}

const running =
  (build: (spec: Spec) => ReturnType<typeof interval>): Runner =>
  (one: Case, variant: Variant) => {
    const fields = [...new Set(one.steps.flatMap(step => (step.emits ?? []).flatMap(row => Object.keys(row))))].sort()
    return runStream(one, variant, {
      pipeline: build(one.spec as unknown as Spec),
      topicOf: step => step.event?.side ?? step.side ?? "left",
      topics: ["left", "right"],
      emitted: ({ value, timestamp }) => ({ ...value, ts: timeOf(timestamp) }) as Row,
      fields,
      lateFields: ["key", "value", "ts"],
      unordered: ["left", "right"],
      ordered: false
    })
  }

export const intervalJoin = running(interval)
export const temporalJoin = running(temporal)
export const windowJoin = running(windowed)
