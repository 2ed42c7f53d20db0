import type { GridAssigner } from "@headrace/core"
import type { Schema } from "effect"
import { Heard } from "./dynamicPatterns.ts"
import type { ExchangeNode, Node, WindowNode } from "./nodes.ts"
import { inputsOf } from "./plan.ts"
import { WindowPart } from "./windowAll.ts"

/** What is known of a stream at a place of the plan. */
interface Origin {
  /** The logs that its records are read from: topics, or exchanges. */
  readonly logs: readonly string[]
  /** Whether each key is in one partition of the log, wherever that is. */
  readonly together: boolean
  /** Fields that hold the key which the log is partitioned by, as far as somebody said so. */
  readonly fields: readonly string[]
  readonly schema: Schema.Top | undefined
}

/**
 * Puts an exchange in front of each step with state whose keys may be spread over several partitions, and in front of
 * both sides of a join that come from several logs. Nodes stand in topological order, also afterwards.
 */
export const withExchanges = (nodes: readonly Node[]): readonly Node[] => {
  const origins = new Map<string, Origin>()
  const placed: Node[] = []
  const exchanges = new Map<string, ExchangeNode>()
  const exchange: Exchange = (id, input, log, how = {}): string => {
    if (!exchanges.has(id)) {
      const node: ExchangeNode = { ...exchangeNode(id, input, log, origins.get(input)!), ...how }
      exchanges.set(id, node)
      placed.push(node)
      origins.set(id, { logs: [log], together: true, fields: [], schema: node.schema })
    }
    return id
  }
  for (const node of nodes) {
    const moved =
      node.kind === "dynamicPattern"
        ? moveDynamic(node, one => placed.push(one), exchange)
        : moveOver(node, origins, exchange)
    placed.push(moved)
    origins.set(moved.id, originOf(moved, origins))
  }
  return placed
}

type Exchange = (
  id: string,
  input: string,
  log: string,
  how?: Partial<Pick<ExchangeNode, "to" | "schema" | "parts">>
) => string

/** What keys see of a broadcast has its place in the order of their records: both come through one log. */
const moveBroadcast = (node: Extract<Node, { kind: "broadcast" }>, exchange: Exchange): Node => ({
  ...node,
  left: exchange(`exchange:${node.id}/left`, node.left, logName(node.id)),
  right: exchange(`exchange:${node.id}/right`, node.right, logName(node.id), { to: "all" })
})

/** The patterns too, and what the partitions tell each other of them: by that they agree. */
const moveDynamic = (
  node: Extract<Node, { kind: "dynamicPattern" }>,
  place: (node: ExchangeNode) => void,
  exchange: Exchange
) => {
  const log = logName(node.id)
  const left = exchange(`exchange:${node.id}/left`, node.left, log)
  const right = exchange(`exchange:${node.id}/right`, node.right, log, { to: "all" })
  place({ ...exchangeNode(node.heard, node.agreed, log, { schema: Heard }), to: "all" })
  return { ...node, left, right }
}

const moveOver = (node: Node, origins: ReadonlyMap<string, Origin>, exchange: Exchange): Node => {
  if (node.kind === "broadcast") return moveBroadcast(node, exchange)
  if ("left" in node) {
    const sides = [origins.get(node.left)!, origins.get(node.right)!]
    const logs = new Set(sides.flatMap(({ logs }) => logs))
    if (logs.size === 1 && sides.every(({ together }) => together)) return node
    const log = logName(node.id)
    const left = exchange(`exchange:${node.id}/left`, node.left, log)
    return { ...node, left, right: exchange(`exchange:${node.id}/right`, node.right, log) }
  }
  if (node.kind === "window" && node.all === "parts") return moveParts(node, exchange)
  if (!isKeyedStep(node)) return node
  const { logs, together } = origins.get(node.input)!
  if (logs.length === 1 && together) return node
  return { ...node, input: exchange(`exchange:${node.input}`, node.input, logName(node.input)) }
}

/** A window over all keys comes together in one partition: what crosses is as little as it can be. */
const moveParts = (node: WindowNode, exchange: Exchange): Node => {
  const parts = { assigner: node.assigner as GridAssigner, aggregates: node.aggregates }
  const input = exchange(`exchange:${node.input}`, node.input, logName(node.input), { schema: WindowPart, parts })
  return { ...node, input }
}

/** As part of a topic's name. Steps whose names then are the same are refused by `checkNodes`. */
const logName = (id: string): string => id.replace(/[^a-zA-Z0-9._-]/g, "-")

const isKeyedStep = (node: Node): node is Extract<Node, { kind: "window" | "process" | "deduplicate" | "pattern" }> =>
  node.kind === "window" || node.kind === "process" || node.kind === "deduplicate" || node.kind === "pattern"

const originOf = (node: Node, origins: ReadonlyMap<string, Origin>): Origin => {
  if (node.kind === "source") {
    const fields = node.key === undefined ? [] : [node.key]
    return { logs: [node.topic], together: false, fields, schema: node.schema }
  }
  const inputs = inputsOf(node).map(id => origins.get(id)!)
  const [first] = inputs
  const none: Origin = { logs: [], together: false, fields: [], schema: undefined }
  if (first === undefined) return none
  switch (node.kind) {
    case "keyBy":
      return { ...first, together: isAmong(node.field, first.fields) }
    case "as":
    case "side":
      return { ...first, schema: node.schema }
    case "filter":
      return first
    case "union":
      return {
        logs: [...new Set(inputs.flatMap(({ logs }) => logs))],
        together: inputs.every(({ together }) => together),
        fields: first.fields.filter(field => inputs.every(({ fields }) => fields.includes(field))),
        schema: first.schema
      }
    case "extend":
      return { ...first, schema: undefined }
    case "window":
      return { ...first, together: true, fields: node.updates === "upsert" ? ["key"] : [], schema: undefined }
    case "process":
    case "broadcast":
      return { ...first, fields: [], schema: node.emits }
    case "deduplicate":
      return node.emit === "once" ? first : { ...first, fields: [], schema: undefined }
    // A function has made other records: their fields say nothing about the log any more.
    default:
      return { ...first, fields: [], schema: undefined }
  }
}

const isAmong = (field: string | undefined, fields: readonly string[]): boolean =>
  field !== undefined && fields.includes(field)

const exchangeNode = (id: string, input: string, log: string, { schema }: Pick<Origin, "schema">): ExchangeNode => ({
  kind: "exchange",
  id,
  input,
  log,
  schema,
  to: "key",
  parts: undefined
})
