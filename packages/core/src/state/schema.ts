import type { Aggregate } from "../aggregate.ts"
import type { StoredCodec } from "../codec.ts"
import { showAssigner } from "../operators/window/assigner.ts"
import type { GridAssigner } from "../operators/window/grid.ts"
import type { CalendarUnit } from "../time/calendar.ts"
import type { StateSpec } from "./handles.ts"
import { type Shape, showShape } from "./shape.ts"

/** An aggregate's place in a window's rows: their order is that of the columns. */
export interface AggregateSchema {
  readonly name: string
  readonly kind: Aggregate["kind"]
  /** Of a custom one: what it keeps. */
  readonly shape?: Shape
}

/** A state of a process step: their order, by name, is that of the handle numbers. */
export interface NamedStateSchema {
  readonly name: string
  readonly kind: StateSpec["kind"]
  /** Whether its entries have a time at which they expire. */
  readonly ttl: boolean
  readonly shape: Shape
  /** It belongs to no key: each partition has all of it. */
  readonly shared?: true
}

/**
 * What an operator's state is made of: plain data that stands beside the state, so that another version of the pipeline
 * knows what it finds. `version` is that of the operator's own layout.
 */
export type StateSchema =
  | { readonly kind: "clock" | "stage"; readonly version: number }
  | {
      readonly kind: "window"
      readonly version: number
      readonly sizeMs: number
      readonly offsetMs: number
      /** Of sliding windows. */
      readonly slideMs?: number
      /** Of cumulative ones. */
      readonly stepMs?: number
      /** Of calendar windows, which have no size. */
      readonly calendar?: { readonly unit: CalendarUnit; readonly timeZone: string }
      readonly aggregates: readonly AggregateSchema[]
    }
  | {
      readonly kind: "process"
      readonly version: number
      readonly states: readonly NamedStateSchema[]
      /** What a step of Headrace's own does, as a person reads it; a process step of the user's has none. */
      readonly what?: string
    }

/** The state of an operator as the pipeline has it: its schema, and how what users keep becomes bytes. */
export interface StateDefinition {
  /** Stable: state is found again by it. */
  readonly id: string
  readonly schema: StateSchema
  /** By the name of a process step's state, or of a custom aggregate. */
  readonly codecs: ReadonlyMap<string, StoredCodec>
}

const shapeOf = (codec: StoredCodec): Shape => codec.shape ?? "any"

/** The windows that a state is of. */
export const assignerOf = (schema: Extract<StateSchema, { readonly kind: "window" }>): GridAssigner => {
  const { sizeMs, offsetMs, slideMs, stepMs, calendar } = schema
  if (calendar !== undefined) return { kind: "calendar", ...calendar }
  if (slideMs !== undefined) return { kind: "sliding", sizeMs, slideMs, offsetMs }
  if (stepMs !== undefined) return { kind: "cumulative", sizeMs, stepMs, offsetMs }
  return { kind: "tumbling", sizeMs, offsetMs }
}

/** The other way round. */
const extentOf = (assigner: GridAssigner) => {
  if (assigner.kind === "calendar") {
    const { unit, timeZone } = assigner
    return { sizeMs: 0, offsetMs: 0, calendar: { unit, timeZone } }
  }
  const { sizeMs, offsetMs } = assigner
  if (assigner.kind === "sliding") return { sizeMs, offsetMs, slideMs: assigner.slideMs }
  return assigner.kind === "cumulative" ? { sizeMs, offsetMs, stepMs: assigner.stepMs } : { sizeMs, offsetMs }
}

/** A source's event time. */
export const clockDefinition = (id: string): StateDefinition => ({
  id,
  schema: { kind: "clock", version: 1 },
  codecs: new Map()
})

/** The event time of a stage behind an exchange: what it has come to, and how far each partition before it has. */
export const stageDefinition = (id: string): StateDefinition => ({
  id,
  schema: { kind: "stage", version: 1 },
  codecs: new Map()
})

/** The state of a window on a grid: typed columns, one for each aggregate. */
export const windowDefinition = (options: {
  readonly id: string
  readonly assigner: GridAssigner
  readonly aggregates: Readonly<Record<string, Aggregate>>
}): StateDefinition => {
  const { id, assigner } = options
  const entries = Object.entries(options.aggregates)
  const aggregates = entries.map(
    ([name, one]): AggregateSchema =>
      one.kind === "custom" ? { name, kind: one.kind, shape: shapeOf(one.codec) } : { name, kind: one.kind }
  )
  const customs = entries.flatMap(([name, one]) => (one.kind === "custom" ? [[name, one.codec] as const] : []))
  return { id, schema: { kind: "window", version: 2, ...extentOf(assigner), aggregates }, codecs: new Map(customs) }
}

/** `shared`: how a map that all keys see is kept; it stands behind the states of the keys. */
export const processDefinition = (
  id: string,
  state: Readonly<Record<string, StateSpec>>,
  shared?: StoredCodec
): StateDefinition => {
  const states = Object.entries(state).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const schemas = states.map(
    ([name, { kind, ttlMs, codec }]): NamedStateSchema => ({
      name,
      kind,
      ttl: ttlMs !== undefined,
      shape: shapeOf(codec)
    })
  )
  const codecs = states.map(([name, { codec }]) => [name, codec] as const)
  if (shared === undefined)
    return { id, schema: { kind: "process", version: 2, states: schemas }, codecs: new Map(codecs) }
  const all: NamedStateSchema = { name: SHARED_NAME, kind: "map", ttl: false, shape: shapeOf(shared), shared: true }
  return {
    id,
    schema: { kind: "process", version: 2, states: [...schemas, all] },
    codecs: new Map([...codecs, [SHARED_NAME, shared]])
  }
}

/** No name that a user can give. */
const SHARED_NAME = "broadcast state"

/** The state of a step of Headrace's own that keeps cells, as a process step does. */
export const stepDefinition = (id: string, what: string, states: readonly NamedStateSchema[]): StateDefinition => ({
  id,
  schema: { kind: "process", version: 2, states, what },
  codecs: new Map(states.map(({ name }) => [name, UNTOUCHED]))
})

/** Values of such a step stay as they are: a savepoint never reads them. */
const UNTOUCHED: StoredCodec = {
  write: () => {
    throw new Error("State of a step of Headrace's own is not migrated")
  },
  read: () => {
    throw new Error("State of a step of Headrace's own is not migrated")
  }
}

/** Event time alone: state that belongs to no key. */
export const isTime = (schema: StateSchema): schema is Extract<StateSchema, { readonly kind: "clock" | "stage" }> =>
  schema.kind === "clock" || schema.kind === "stage"

/** What state is, as a person reads it. */
export const showSchema = (schema: StateSchema): string => {
  if (isTime(schema)) return "event time"
  if (schema.kind === "process") return schema.what ?? `process ${schema.states.map(showState).join(", ")}`
  return `${showAssigner(assignerOf(schema))} ${schema.aggregates.map(showAggregate).join(", ")}`
}

/** The same of one state of a `process` step. */
export const showState = ({ name, kind, ttl, shape }: NamedStateSchema): string =>
  `${name}: ${kind} of ${showShape(shape)}${ttl ? " with a ttl" : ""}`

/** The same of one aggregate of a window. */
export const showAggregate = ({ name, kind, shape }: AggregateSchema): string =>
  `${name}: ${kind}${shape === undefined ? "" : ` of ${showShape(shape)}`}`
