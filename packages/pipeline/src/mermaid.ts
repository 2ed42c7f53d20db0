import { describe } from "./describe.ts"
import { escaped } from "./escaped.ts"
import type { Node } from "./nodes.ts"
import { inputsOf, lateSinksOf, type Plan } from "./plan.ts"

/**
 * A plan as a Mermaid flowchart: sources and sinks round, state in cylinders, a dashed edge for late records.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { mermaid, Pipeline, Sink, Source, toPlan } from "headrace"
 *
 * const Payment = Schema.Struct({ account: Schema.String })
 * const copy = Pipeline.make("copy").from(Source.kafka("payments", Payment)).to(Sink.kafka("copies", Payment))
 * mermaid(toPlan(copy)).split("\n")[0] // => "flowchart LR"
 * ```
 */
export const mermaid = (plan: Plan): string => {
  const names = new Map(plan.nodes.map((node, i) => [node.id, `n${i}`]))
  const boxes = plan.nodes.map(node => `  ${names.get(node.id)}${box(node, label(node, plan))}`)
  const edges = plan.nodes.flatMap(node =>
    edgesTo(node, plan).map(([from, arrow]) => `  ${names.get(from)} ${arrow} ${names.get(node.id)}`)
  )
  return ["flowchart LR", ...boxes, ...edges].join("\n")
}

const STATEFUL: ReadonlySet<Node["kind"]> = new Set<Node["kind"]>([
  "window",
  "process",
  "broadcast",
  "pattern",
  "dynamicPattern",
  "deduplicate",
  "intervalJoin",
  "windowJoin",
  "temporalJoin",
  "tableJoin"
])

const box = (node: Node, text: string): string => {
  if (STATEFUL.has(node.kind)) return `[("${text}")]`
  if (node.kind === "exchange") return `{{"${text}"}}`
  return node.kind === "source" || node.kind === "kafkaSink" || node.kind === "clickhouseSink"
    ? `(["${text}"])`
    : `["${text}"]`
}

const label = (node: Node, plan: Plan): string => {
  const details = describe(node, plan)
  return escaped(details === "" ? node.id : `${node.id}\n${details}`).replaceAll("\n", "<br/>")
}

const edgesTo = (node: Node, plan: Plan): readonly (readonly [from: string, arrow: string])[] => {
  if (node.kind === "clickhouseSink") {
    const sinks = plan.nodes.filter(one => one.kind === "kafkaSink" && one.topic === node.topic)
    return sinks.map(({ id }) => [id, "-->"] as const)
  }
  const isLate = plan.nodes.some(one => lateSinksOf(one).includes(node.id))
  const [left, right, ...others] = inputsOf(node)
  if ("left" in node)
    return [[left!, "-- left -->"], [right!, "-- right -->"], ...others.map(id => [id, "-->"] as const)]
  return inputsOf(node).map(id => [id, isLate ? "-. late .->" : "-->"] as const)
}
