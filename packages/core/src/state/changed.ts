import { showAssigner } from "../operators/window/assigner.ts"
import {
  type AggregateSchema,
  assignerOf,
  isTime,
  type NamedStateSchema,
  type StateSchema,
  showAggregate,
  showState
} from "./schema.ts"
import { misfits, type Shape, showShape } from "./shape.ts"

/** A place at which an operator's state is not what was written. */
export interface StateChange {
  /** `state seen .cents`, `the window's size`. */
  readonly what: string
  readonly was: string
  readonly is: string
}

/**
 * Where state of one schema is not what another one expects, part by part. Empty only if its bytes can be read as they
 * are: whoever goes on from state without rewriting it (a restart, a takeover) accepts nothing else.
 */
export const stateChanges = (was: StateSchema, is: StateSchema): readonly StateChange[] => {
  const [before, now] = [was, is].map(schema => JSON.stringify(schema)) as [string, string]
  if (before === now) return []
  if (was.kind !== is.kind) return [{ what: "the step", was: was.kind, is: is.kind }]
  const [all, others] = [partsOf(was), partsOf(is)]
  const changes = [...new Set([...all.keys(), ...others.keys()])].flatMap(what =>
    partChanges(what, all.get(what), others.get(what))
  )
  if (changes.length > 0) return changes
  // Each part is as it was: they stand in another order. (Or differ in what is not shown.)
  const [order, another] = [all, others].map(parts => [...parts.keys()].join(", ")) as [string, string]
  if (order !== another) return [{ what: "the order of its parts", was: order, is: another }]
  return [{ what: "the schema", was: before, is: now }]
}

/** A change as a person reads it, indented below whatever is said of it. */
export const showStateChange = (operator: string, { what, was, is }: StateChange): string =>
  `  ${operator}, ${what}\n    was:  ${was}\n    is:   ${is}`

/** Something that has a name of its own within a state. */
interface Part {
  readonly text: string
  /** The same without the shape of what is kept. */
  readonly frame: string
  readonly shape?: Shape | undefined
}

const partsOf = (schema: StateSchema): ReadonlyMap<string, Part> => {
  const layout = ["Headrace's own layout", plain(`version ${schema.version}`)] as const
  if (isTime(schema)) return new Map([layout])
  if (schema.kind === "process") {
    const what = schema.what === undefined ? [] : [["what it does", plain(schema.what)] as const]
    return new Map([layout, ...what, ...schema.states.map(one => state(one))])
  }
  return new Map([
    layout,
    ["the window's size", plain(`${schema.sizeMs} ms`)],
    ...(schema.slideMs === undefined ? [] : [["the window's slide", plain(`${schema.slideMs} ms`)] as const]),
    ...(schema.stepMs === undefined ? [] : [["the window's step", plain(`${schema.stepMs} ms`)] as const]),
    ...(schema.calendar === undefined ? [] : [["the window", plain(showAssigner(assignerOf(schema)))] as const]),
    ["the window's offset", plain(`${schema.offsetMs} ms`)],
    ...schema.aggregates.map(one => aggregate(one))
  ])
}

const plain = (text: string): Part => ({ text, frame: text })

const state = (one: NamedStateSchema): readonly [string, Part] => [
  `state ${one.name}`,
  { text: showState(one), frame: showState({ ...one, shape: "any" }), shape: one.shape }
]

const aggregate = (one: AggregateSchema): readonly [string, Part] => [
  `aggregate ${one.name}`,
  { text: showAggregate(one), frame: `${one.name}: ${one.kind}`, shape: one.shape }
]

/** Where only the shape is another one, the places in it that cannot be read; where all can, the part as a whole. */
const partChanges = (what: string, was: Part | undefined, is: Part | undefined): readonly StateChange[] => {
  if (was?.text === is?.text) return []
  const whole = { what, was: was?.text ?? "missing", is: is?.text ?? "missing" }
  if (was?.shape === undefined || is?.shape === undefined || was.frame !== is.frame) return [whole]
  const places = misfits(was.shape, is.shape)
  if (places.length === 0) return [whole]
  return places.map(one => ({ what: `${what} ${one.path}`.trim(), was: showShape(one.was), is: showShape(one.is) }))
}
