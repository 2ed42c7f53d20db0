import type { Contiguity, Inner, Step } from "./spec.ts"

/** How an event came to be part of a match: it began it, followed as its step says, or as the events of one step do. */
export type How = "begin" | Exclude<Contiguity, "notNext" | "notFollowedBy"> | Inner

/** An event of a match, in the order in which they were taken. */
export interface PathStep {
  readonly step: string
  readonly how: How
  readonly at: number
  /** How long after the event before it, in ms; 0 of the first. */
  readonly afterMs: number
  /** How many events of the key came between it and the one before; undefined where they are not counted. */
  readonly ignored: number | undefined
  readonly event: object
}

/** How a match came about: for whoever wants to know, and only then. */
export type Path = () => readonly PathStep[]

interface Taken {
  readonly step: string
  readonly at: number
  readonly ignored: number | undefined
  readonly event: object
}

/** The path of what was taken. */
export const pathOf = (steps: readonly Step[], taken: readonly Taken[]): readonly PathStep[] => {
  const seen = new Set<string>()
  return taken.map(({ step, at, ignored, event }, i) => {
    const how = i === 0 ? "begin" : howOf(steps, step, seen.has(step))
    seen.add(step)
    return { step, how, at, afterMs: i === 0 ? 0 : at - taken[i - 1]!.at, ignored, event }
  })
}

const howOf = (steps: readonly Step[], name: string, again: boolean): How => {
  const found = find(steps, name, undefined)!
  const { contiguity = "next", inner = "skip" } = found
  return again ? inner : (contiguity as How)
}

/** A step, and how it follows: the first one of a group does as the group. */
const find = (
  steps: readonly Step[],
  name: string,
  entry: Contiguity | undefined
): Pick<Step, "contiguity" | "inner"> | undefined => {
  for (const [i, { name: own, contiguity, inner, group }] of steps.entries()) {
    const how = contiguity ?? (i === 0 ? entry : undefined)
    const found = group === undefined ? (own === name ? { contiguity: how, inner } : undefined) : find(group, name, how)
    if (found !== undefined) return found
  }
  return undefined
}
