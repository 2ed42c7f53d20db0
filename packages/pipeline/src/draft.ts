import type { Node } from "./plan.ts"

type WithoutPlace<N> = N extends Node ? Omit<N, "id" | "input"> : never

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
  readonly input: Draft | undefined
  /** What stands beside this step and belongs to it: the sink of late records, the tables fed from a topic. */
  readonly beside: readonly Node[]
}

/** The nearest step of a kind, from `draft` towards the source. */
export const nearest = <K extends Spec["kind"]>(
  draft: Draft | undefined,
  kind: K
): Extract<Spec, { kind: K }> | undefined => {
  for (let at = draft; at !== undefined; at = at.input) if (is(at.spec, kind)) return at.spec
  return undefined
}

const is = <K extends Spec["kind"]>(spec: Spec, kind: K): spec is Extract<Spec, { kind: K }> => spec.kind === kind

/** The same chain with some steps replaced. Steps before the first replaced one stay the same objects. */
export const rewrite = (draft: Draft, change: (spec: Spec) => Spec): Draft => {
  const input = draft.input === undefined ? undefined : rewrite(draft.input, change)
  const spec = change(draft.spec)
  return spec === draft.spec && input === draft.input ? draft : { ...draft, spec, input }
}

/** A step that nothing is found again by: its id is a wish, numbered where two have the same. */
export const step = (input: Draft, id: string, spec: Spec): Draft => ({ spec, id, fixed: false, input, beside: [] })
