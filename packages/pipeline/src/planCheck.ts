import { PipelineError } from "./error.ts"
import type { ExchangeNode, KafkaSinkNode, Node, SourceNode } from "./nodes.ts"

/** Throws PipelineError on ids, topics or tables that get in each other's way. */
export const checkNodes = (nodes: readonly Node[]): void => {
  for (const source of ofKind(nodes, "source")) checkLoop(source, nodes)
  eachPair(ofKind(nodes, "source"), same("topic"), readTwice)
  eachPair(nodes, same("id"), sameId)
  checkLogs(ofKind(nodes, "exchange"))
  eachPair(ofKind(nodes, "kafkaSink"), same("topic"), writtenTwice)
  eachPair(ofKind(nodes, "clickhouseSink"), same("table"), ({ table, id }, other) =>
    fail(`${id} and ${other.id} both fill the table "${table}": give each its own table`)
  )
}

const ofKind = <K extends Node["kind"]>(nodes: readonly Node[], kind: K) =>
  nodes.filter((node): node is Extract<Node, { kind: K }> => node.kind === kind)

const same =
  <F extends string>(field: F) =>
  (node: Readonly<Record<F, string>>): string =>
    node[field]

const fail = (message: string): never => {
  throw new PipelineError({ message })
}

/** Calls `found` for each node that has the same name as one before it. */
const eachPair = <N>(nodes: readonly N[], name: (node: N) => string, found: (first: N, second: N) => void): void => {
  const seen = new Map<string, N>()
  for (const node of nodes) {
    const first = seen.get(name(node))
    if (first === undefined) seen.set(name(node), node)
    else found(first, node)
  }
}

const sameId = (first: Node, second: Node): void =>
  fail(
    first.kind === "kafkaSink" && second.kind === "kafkaSink" && first.topic === second.topic
      ? `two sinks write to the topic "${first.topic}" as "${first.id}": give each an id of its own, as in Sink.kafka(topic, schema, { id })`
      : `a ${first.kind} and a ${second.kind} have the same id "${first.id}": state is found by it, so give each an explicit { id }` +
          ", or build the step once and branch from that stream"
  )

const readTwice = (first: SourceNode): void =>
  fail(`the topic "${first.topic}" is read by two sources: make its stream once, and branch from that`)

/** Exchanges share a log where they are the two sides of a join, and nowhere else. */
const checkLogs = (exchanges: readonly ExchangeNode[]): void => {
  const owner = ({ id }: ExchangeNode) => id.replace(/\/(left|right|agreed)$/, "")
  for (const first of exchanges)
    for (const other of exchanges)
      if (first.log === other.log && owner(first) !== owner(other))
        fail(
          `${owner(first)} and ${owner(other)} would both go through the topic "…-exchange-${first.log}": give one step another { id }`
        )
}

/** Several sinks may write to one topic, if they agree on what it carries. */
const writtenTwice = (first: KafkaSinkNode, second: KafkaSinkNode): void => {
  if (first.schema === second.schema) return
  fail(
    `${first.id} and ${second.id} write to the topic "${first.topic}" with different schemas: use one schema, or two topics`
  )
}

const checkLoop = (source: SourceNode, nodes: readonly Node[]): void => {
  const back = nodes.find(node => writes(node).includes(source.topic))
  if (back === undefined) return
  fail(`${back.id} writes to the topic "${source.topic}", which ${source.id} reads: records would go round for ever`)
}

const writes = (node: Node): readonly string[] => {
  if (node.kind === "kafkaSink") return [node.topic]
  if (node.kind === "mapEffect") return node.deadLetters
  return node.kind === "source" && node.onDecodeError.kind === "deadLetter" ? [node.onDecodeError.topic] : []
}
