import { Layer } from "effect"
import type { Draft } from "./draft.ts"
import { withExchanges } from "./exchange.ts"
import type { Node } from "./nodes.ts"
import type { Pipeline } from "./pipeline.ts"
import type { Plan } from "./plan.ts"
import { checkNodes } from "./planCheck.ts"

/** The plan of a pipeline. Throws PipelineError where ids or topics collide. Pure: the same module, the same plan. */
export const toPlan = (pipeline: Pipeline<never>): Plan => {
  const drafts = inOrder(pipeline.sinks)
  const ids = identify(drafts)
  const nodes = withExchanges(drafts.flatMap(draft => [place(draft, ids), ...draft.beside]))
  checkNodes(nodes)
  return { name: pipeline.name, nodes, layer: (pipeline.layer ?? Layer.empty) as Plan["layer"] }
}

/** Every step once, inputs first. */
const inOrder = (sinks: readonly Draft[]): readonly Draft[] => {
  const seen = new Set<Draft>()
  const visit = (draft: Draft): void => {
    if (seen.has(draft)) return
    draft.inputs.forEach(visit)
    seen.add(draft)
  }
  sinks.forEach(visit)
  return [...seen]
}

type Ids = ReadonlyMap<Draft, string>

/** Fixed ids as they are (collisions are found later), the others numbered where they are taken: `filter`, `filter#2`. */
const identify = (drafts: readonly Draft[]): Ids => {
  const ids = new Map<Draft, string>()
  const taken = new Set<string>()
  const assign = (draft: Draft, id: string) => {
    ids.set(draft, id)
    taken.add(id)
  }
  for (const draft of drafts) if (draft.fixed) assign(draft, draft.id)
  for (const draft of drafts) if (!draft.fixed) assign(draft, free(draft.id, taken))
  return ids
}

const free = (wish: string, taken: ReadonlySet<string>): string => {
  let id = wish
  for (let n = 2; taken.has(id); n++) id = `${wish}#${n}`
  return id
}

const place = (draft: Draft, ids: Ids): Node => ({ ...draft.spec, id: ids.get(draft)!, ...reads(draft, ids) }) as Node

/** A source reads nothing, a join two steps, every other one has one input. */
const reads = (draft: Draft, ids: Ids) => {
  const inputs = draft.inputs.map(input => ids.get(input)!)
  if (draft.spec.kind === "union") return { inputs }
  if (inputs.length === 2) return { left: inputs[0], right: inputs[1] }
  return inputs.length === 1 ? { input: inputs[0] } : {}
}
