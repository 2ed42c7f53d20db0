import type { Schema } from "effect"
import type { Node } from "./nodes.ts"

type Place = "id" | "input" | "left" | "right" | "inputs"
type WithoutPlace<N> = N extends Node ? Omit<N, Place> : never

/** A node before it has its place: what it does, without id and input. */
export type Spec = WithoutPlace<Node>

/**
 * A step as the builder keeps it. Steps point at their input, so a stream is its last step, and branches share the
 * very objects of their common beginning.
 */
export interface Draft {
  readonly spec: Spec
  readonly id: string
  /** Explicit, or found again by it (state, topics, tables): never renumbered, a second one is an error. */
  readonly fixed: boolean
  /** What it reads: nothing as a source, two steps as a join (the left one first). */
  readonly inputs: readonly Draft[]
  /** What stands beside this step and belongs to it: the sink of late records, the tables fed from a topic. */
  readonly beside: readonly Node[]
}

/** The nearest step of a kind, from `draft` towards the source; behind a join to that of its left side. */
export const nearest = <K extends Spec["kind"]>(
  draft: Draft | undefined,
  kind: K
): Extract<Spec, { kind: K }> | undefined => {
  for (let at = draft; at !== undefined; at = at.inputs[0]) if (is(at.spec, kind)) return at.spec
  return undefined
}

const is = <K extends Spec["kind"]>(spec: Spec, kind: K): spec is Extract<Spec, { kind: K }> => spec.kind === kind

/** The schema of what a step gives out, where that is known: of a source, or as `as` says. */
export const schemaAt = (draft: Draft): Schema.Top | undefined => {
  const { spec } = draft
  switch (spec.kind) {
    case "source":
    case "as":
    case "side":
      return spec.schema
    case "process":
    case "broadcast":
      return spec.emits
    case "filter":
    case "keyBy":
    case "union":
      return schemaAt(draft.inputs[0]!)
    default:
      return undefined
  }
}

/** The same chain with some steps replaced. Steps before the first replaced one stay the same objects. */
export const rewrite = (draft: Draft, change: (spec: Spec) => Spec): Draft => {
  const inputs = draft.inputs.map(input => rewrite(input, change))
  const spec = change(draft.spec)
  const isSame = spec === draft.spec && inputs.every((input, i) => input === draft.inputs[i])
  return isSame ? draft : { ...draft, spec, inputs }
}

/** A step that nothing is found again by: its id is a wish, numbered where two have the same. */
export const step = (input: Draft, id: string, spec: Spec): Draft => ({
  spec,
  id,
  fixed: false,
  inputs: [input],
  beside: []
})
