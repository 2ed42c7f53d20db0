import { describe } from "./describe.ts"
import type { Node } from "./nodes.ts"
import { inputsOf, type Plan } from "./plan.ts"

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

/** Where several streams come together, what follows stands below the first of them. */
const tree = (plan: Plan, node: Node, first: string, rest: string, from?: Node): readonly string[] => {
  if (from !== undefined && inputsOf(node).indexOf(from.id) > 0) return [`${first}→ ${node.id}`]
  const below = children(plan, node)
  const branches = below.flatMap((child, i) =>
    i < below.length - 1
      ? tree(plan, child, `${rest}├─ `, `${rest}│  `, node)
      : tree(plan, child, `${rest}└─ `, `${rest}   `, node)
  )
  return [`${first}${node.id}  ${describe(node, plan)}`.trimEnd(), ...branches]
}

/** A table hangs below the sinks of the topic that it reads. */
const children = (plan: Plan, node: Node): readonly Node[] =>
  plan.nodes.filter(child =>
    child.kind === "clickhouseSink"
      ? node.kind === "kafkaSink" && node.topic === child.topic
      : inputsOf(child).includes(node.id)
  )
