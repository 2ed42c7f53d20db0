import { type Aggregate, type StateSpec, showAssigner, type WindowAssigner } from "@headrace/core"
import type { ExchangeNode, MapEffectNode, Node, ProcessNode, SourceNode, WindowJoinNode, WindowNode } from "./nodes.ts"
import { lateSinksOf, type Plan } from "./plan.ts"
import { shortDuration } from "./windowDraft.ts"

/** What a node does beside what its id says, in a few words: its key, topic, window or state. May be empty. */
export const describe = (node: Node, plan: Plan): string => {
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
      return windowed(node)
    case "deduplicate":
      return `keeps the ${node.keep}, gives out ${node.emit === "once" ? "each once" : "changes"}, state { known: value }`
    case "intervalJoin":
      return `${node.type} join of ${node.left} with ${node.right}, from ${shortDuration(node.lowerMs)} to ${shortDuration(node.upperMs)}, state { left: list, right: list }`
    case "windowJoin":
      return `${node.type === "coGroup" ? "co-group" : `${node.type} join`} of ${node.left} with ${node.right}, ${showAssigner(node.assigner)}${firing(node)}${lateBy(node)}${takingBack(node)}, state { elements: list }`
    case "temporalJoin":
      return `${node.type} join of ${node.left} with the versions of ${node.right}, state { events: list, versions: map }`
    case "process":
      return processed(node)
    case "broadcast":
      return `${processed(node)}, a map that ${node.right} fills in every partition`
    case "tableJoin":
      return node.of === "stream"
        ? `${node.type} join of ${node.left} with the table ${node.right}, state { right: value }`
        : `${node.type} join of ${node.left} with the changes of ${node.right}, state { left: value, right: value }`
    case "pattern":
      return `${node.patterns.map(({ id, what }) => (id === node.id ? what : `${id}: ${what}`)).join("\n")}, state { events: list, matches: value }`
    case "dynamicPattern":
      return `patterns that come from ${node.right}, at one event time in all partitions, state { events: list, matches: value }`
    case "exchange":
      return exchanged(node, plan)
    case "side":
      return `what goes to the side ${node.name}`
    case "kafkaSink":
      return `to topic ${node.topic}${isLate(node.id, plan) ? ", late records only" : ""}`
    case "clickhouseSink":
      return `to table ${node.table}, from topic ${node.topic}`
    default:
      return ""
  }
}

const isLate = (id: string, plan: Plan): boolean => plan.nodes.some(node => lateSinksOf(node).includes(id))

const source = (node: SourceNode): string => {
  const time = node.eventTime === undefined ? "time of the Kafka record" : "event time"
  const errors = node.onDecodeError.kind === "fail" ? "stops at" : `to ${node.onDecodeError.topic} go`
  const order =
    node.watermarks === undefined
      ? `out of order by ${shortDuration(node.outOfOrdernessMs)}`
      : "watermarks in its records"
  const { alignment, idleTimeoutMs } = node
  const idle = idleTimeoutMs === undefined ? "" : `, not waited for when idle for ${shortDuration(idleTimeoutMs)}`
  const ahead =
    alignment === undefined
      ? ""
      : `, at most ${shortDuration(alignment.maxDriftMs)} ahead of others in the alignment group ${alignment.group}`
  const tombstones = node.tombstone === undefined ? "" : ", with tombstones"
  return `topic ${node.topic}${tombstones}, ${time}, ${order}${idle}${ahead}, ${errors} undecodable records`
}

const asynchronous = ({ concurrency, deadLetters }: MapEffectNode): string =>
  [`up to ${concurrency} at once`, ...deadLetters.map(topic => `dead letters to ${topic}`)].join(", ")

const windowed = (node: WindowNode): string => {
  const names = Object.entries(node.aggregates).map(([name, { kind }]: [string, Aggregate]) => `${name}: ${kind}`)
  const all = node.all === undefined ? "" : `, over all keys${node.all === "parts" ? " in two phases" : ""}`
  return `${shown(node.assigner)}${firing(node)}${lateBy(node)}${takingBack(node)}${all}, state { ${names.join(", ")} }`
}

const firing = ({ trigger, evictor }: Pick<WindowNode, "trigger" | "evictor">): string =>
  `${trigger === undefined ? "" : `, ${trigger.name}`}${evictor === undefined ? "" : `, keeps ${evictor.name}`}`

const takingBack = ({ updates }: Pick<WindowNode | WindowJoinNode, "updates">): string =>
  updates === "retract" ? ", takes back what it replaces" : ""

const exchanged = (node: ExchangeNode, plan: Plan): string => {
  const parts = node.parts === undefined ? "" : "what a transaction brings of each pane, folded, "
  const to = node.to === "all" ? "all partitions" : "the partition of its key"
  return `${parts}to ${to}, through the topic ${plan.name}-exchange-${node.log}`
}

const lateBy = ({ allowedLatenessMs }: { readonly allowedLatenessMs: number }): string =>
  allowedLatenessMs === 0 ? "" : `, late by up to ${shortDuration(allowedLatenessMs)}`

const shown = (assigner: WindowAssigner): string => {
  if (assigner.kind !== "tumbling") return showAssigner(assigner)
  const offset = assigner.offsetMs === 0 ? "" : `, shifted by ${shortDuration(assigner.offsetMs)}`
  return `tumbling ${shortDuration(assigner.sizeMs)}${offset}`
}

const processed = ({
  state,
  onTimer,
  onProcessingTimer
}: Pick<ProcessNode, "state" | "onTimer" | "onProcessingTimer">): string => {
  const names = Object.entries(state).map(([name, { kind, ttlMs }]: [string, StateSpec]) =>
    ttlMs === undefined ? `${name}: ${kind}` : `${name}: ${kind} for ${shortDuration(ttlMs)}`
  )
  const timers = onTimer === undefined ? [] : ["timers"]
  const processing = onProcessingTimer === undefined ? [] : ["timers in processing time"]
  return [`state { ${names.join(", ")} }`, ...timers, ...processing].join(", ")
}
