import type { Node, Plan } from "headrace"

/** What a query is made of, in a few words: its steps in their order, less those that only say what others are about. */
export const operatorsOf = (plan: Plan): string =>
  plan.nodes
    .map(shown)
    .filter(text => text !== undefined)
    .join(" → ")

const shown = (node: Node): string | undefined => {
  switch (node.kind) {
    case "source":
    case "keyBy":
    case "as":
    case "kafkaSink":
      return undefined
    case "window":
      return `${node.assigner.kind} window`
    case "intervalJoin":
    case "windowJoin":
    case "tableJoin":
    case "temporalJoin":
      return node.kind.replace("Join", " join")
    default:
      return node.kind
  }
}
