import { MANY, type StateRow } from "@headrace/engine"
import { Effect } from "effect"
import type { Status } from "./status.ts"
import type { Unit } from "./unit.ts"

/** How much state an operator has of a partition, by their names. */
export interface OperatorState extends Omit<StateRow, "source" | "partition" | "node"> {
  readonly lane: string
  readonly topic: string
  /** "others" where there are too many to be told apart. */
  readonly partition: string
  readonly operator: string
}

export const statesOf = ({ units, plan }: Status): readonly OperatorState[] =>
  units.flatMap(({ name, metrics }) =>
    metrics.states.read().map(({ source, partition, node, ...size }) => ({
      lane: name,
      topic: plan.sources[source] ?? String(source),
      partition: partition === MANY ? "others" : String(partition),
      operator: plan.nodes[node] ?? String(node),
      ...size
    }))
  )

/** State goes to disk beyond half of the bound: at this part of the bound it is near. */
const NEAR = 0.4
/** Below this it is far again. */
const FAR = 0.3
const EVERY = "1 second"
const MB = 1 << 20

/** Says once of each lane that its state comes near to what it may take, and once that it goes to disk. */
export const warnOfState = (status: Status, directory: string): Effect.Effect<never> => {
  const said = new Map<string, Set<string>>(status.units.map(({ name }) => [name, new Set()]))
  const look = Effect.forEach(status.units, unit => {
    const lines = said.get(unit.name)!
    const line = worthSaying(unit, status, directory, lines)
    return line === undefined ? Effect.void : Effect.logWarning(line).pipe(Effect.annotateLogs("unit", unit.name))
  })
  return look.pipe(Effect.andThen(Effect.sleep(EVERY)), Effect.forever)
}

/** What is to be said of a unit now; `said` remembers it. */
export const worthSaying = (
  { name, metrics }: Unit,
  status: Status,
  directory: string,
  said: Set<string>
): string | undefined => {
  const bytes = metrics.get("stateBytes")
  const bound = metrics.get("stateBound")
  const states = statesOf(status).filter(({ lane }) => lane === name)
  const spilled = states.reduce((sum, one) => sum + one.spilledBytes, 0)
  if (bytes < bound * FAR && spilled === 0) said.clear()
  const [largest] = states.toSorted((a, b) => b.bytes + b.spilledBytes - a.bytes - a.spilledBytes)
  if (largest === undefined) return undefined
  const where = `most of it is ${largest.operator}'s of ${largest.topic}/${largest.partition} (${largest.keys} keys)`
  if (spilled > 0 && !said.has("spilled")) {
    said.add("spilled").add("near")
    return (
      `state is beyond half of the ${mb(bound)} MB of memory that this lane has for it (state.memory), so what was not used lately ` +
      `goes to ${directory}: records of such keys take longer; ${where}`
    )
  }
  if (bytes < bound * NEAR || said.has("near")) return undefined
  said.add("near")
  return `state takes ${mb(bytes)} of the ${mb(bound)} MB of memory that this lane has for it (state.memory), and goes to disk from half of them on; ${where}`
}

const mb = (bytes: number): number => Math.round(bytes / MB)
