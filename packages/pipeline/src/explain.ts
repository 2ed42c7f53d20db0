import type { Aggregate, StateSpec } from "@headrace/core"
import type { MapEffectNode, Node, Plan, ProcessNode, SourceNode, WindowNode } from "./plan.ts"
import { shortDuration } from "./windowDraft.ts"

/**
 * A plan as a tree to read: each step below its input, with its id, and its key, topic or state.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { explain, Pipeline, Sink, Source, toPlan } from "headrace"
 *
 * const Payment = Schema.Struct({ account: Schema.String })
 * const copy = Pipeline.make("copy").from(Source.kafka("payments", Payment)).to(Sink.kafka("copies", Payment))
 * explain(toPlan(copy)).split("\n")[0] // => "copy"
 * ```
 */
export const explain = (plan: Plan): string =>
  [plan.name, ...plan.nodes.filter(node => node.kind === "source").flatMap(node => tree(plan, node, "", ""))].join("\n")

const tree = (plan: Plan, node: Node, first: string, rest: string): readonly string[] => {
  const below = children(plan, node)
  const branches = below.flatMap((child, i) =>
    i < below.length - 1 ? tree(plan, child, `${rest}├─ `, `${rest}│  `) : tree(plan, child, `${rest}└─ `, `${rest}   `)
  )
  return [`${first}${node.id}  ${details(node, plan)}`.trimEnd(), ...branches]
}

/** A table hangs below the sinks of the topic that it reads. */
const children = (plan: Plan, node: Node): readonly Node[] =>
  plan.nodes.filter(child =>
    child.kind === "clickhouseSink"
      ? node.kind === "kafkaSink" && node.topic === child.topic
      : "input" in child && child.input === node.id
  )

const details = (node: Node, plan: Plan): string => {
  switch (node.kind) {
    case "source":
      return source(node)
    case "extend":
      return `adds ${Object.keys(node.fields).join(", ")}`
    case "mapEffect":
      return asynchronous(node)
    case "keyBy":
      return node.field === undefined ? "keyed by a function" : `keyed by the field ${node.field}`
    case "window":
      return tumbling(node)
    case "process":
      return processed(node)
    case "kafkaSink":
      return `to topic ${node.topic}${isLate(node.id, plan) ? ", late records only" : ""}`
    case "clickhouseSink":
      return `to table ${node.table}, from topic ${node.topic}`
    default:
      return ""
  }
}

const isLate = (id: string, plan: Plan): boolean => plan.nodes.some(node => node.kind === "window" && node.late === id)

const source = (node: SourceNode): string => {
  const time = node.eventTime === undefined ? "time of the Kafka record" : "event time"
  const errors = node.onDecodeError.kind === "fail" ? "stops at" : `to ${node.onDecodeError.topic} go`
  return `topic ${node.topic}, ${time}, out of order by ${shortDuration(node.outOfOrdernessMs)}, ${errors} undecodable records`
}

const asynchronous = ({ concurrency, deadLetters }: MapEffectNode): string =>
  [`up to ${concurrency} at once`, ...deadLetters.map(topic => `dead letters to ${topic}`)].join(", ")

const tumbling = (node: WindowNode): string => {
  const names = Object.entries(node.aggregates).map(([name, { kind }]: [string, Aggregate]) => `${name}: ${kind}`)
  const offset = node.offsetMs === 0 ? "" : `, shifted by ${shortDuration(node.offsetMs)}`
  const lateness = node.allowedLatenessMs === 0 ? "" : `, late by up to ${shortDuration(node.allowedLatenessMs)}`
  return `tumbling ${shortDuration(node.sizeMs)}${offset}${lateness}, state { ${names.join(", ")} }`
}

const processed = ({ state, onTimer, onProcessingTimer }: ProcessNode): string => {
  const names = Object.entries(state).map(([name, { kind, ttlMs }]: [string, StateSpec]) =>
    ttlMs === undefined ? `${name}: ${kind}` : `${name}: ${kind} for ${shortDuration(ttlMs)}`
  )
  const timers = onTimer === undefined ? [] : ["timers"]
  const processing = onProcessingTimer === undefined ? [] : ["timers in processing time"]
  return [`state { ${names.join(", ")} }`, ...timers, ...processing].join(", ")
}
