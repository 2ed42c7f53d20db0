import type { Layer } from "effect"
import type { Node } from "./nodes.ts"

/** The ids of the steps that a node reads, in its order. */
export const inputsOf = (node: Node): readonly string[] => {
  if ("input" in node) return [node.input]
  if ("left" in node) return [node.left, node.right, ...("heard" in node ? [node.heard] : [])]
  return "inputs" in node ? node.inputs : []
}

/** The ids of the sinks that a node's late records go to. */
export const lateSinksOf = (node: Node): readonly string[] => {
  const ids = "late" in node ? [node.late] : "leftLate" in node ? [node.leftLate, node.rightLate] : []
  return ids.filter(id => id !== undefined)
}

/** A pipeline as data and functions: what lanes instantiate. Nodes stand in topological order. */
export interface Plan {
  readonly name: string
  readonly nodes: readonly Node[]
  /** Provides what the asynchronous steps need; built and closed for each lane. */
  readonly layer: Layer.Layer<never, unknown> | Layer.Layer<unknown, unknown>
}
