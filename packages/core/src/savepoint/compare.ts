import type { StoredCodec } from "../codec.ts"
import { showAssigner } from "../operators/window/assigner.ts"
import type { StateDescriptor } from "../state/operator.ts"
import {
  type AggregateSchema,
  assignerOf,
  type NamedStateSchema,
  type StateDefinition,
  type StateSchema,
  showAggregate,
  showSchema,
  showState
} from "../state/schema.ts"
import { type Misfit, misfits, type Shape, sameShape, showShape } from "../state/shape.ts"

/** One thing about an operator's state that does not fit the pipeline, and what can be done about it. */
export interface Difference {
  readonly operator: string
  /** `state seen .cents`, `the window's size`. */
  readonly what: string
  readonly was: string
  readonly is: string
  readonly todo: string
}

/** What becomes of an operator's state in a pipeline. Parts are named as in `state seen`, `aggregate spent`. */
export interface Comparison {
  /** Reasons to refuse it. */
  readonly refused: readonly Difference[]
  /** Parts whose values change: by a migration, or because another shape can be read by Avro's rules. */
  readonly migrated: readonly string[]
  /** Parts that the pipeline does not have any more. */
  readonly dropped: readonly string[]
  /** Parts that begin empty. */
  readonly added: readonly string[]
}

const NOTHING: Comparison = { refused: [], migrated: [], dropped: [], added: [] }
const ANOTHER_ID = "give the step another id, which starts it empty, or put the old definition back"

/** Compares what a savepoint holds of an operator with what the pipeline has under its id. */
export const compareState = (written: StateDescriptor, own: StateDefinition): Comparison => {
  const was = written.schema
  const is = own.schema
  const differs = (what: string, before: string, now: string): Comparison => ({
    ...NOTHING,
    refused: [{ operator: own.id, what, was: before, is: now, todo: ANOTHER_ID }]
  })
  if (was.kind !== is.kind) return differs("the step", showSchema(was), showSchema(is))
  if (was.version !== is.version)
    return differs("Headrace's own layout", `version ${was.version}`, `version ${is.version}`)
  if (was.kind === "window" && is.kind === "window") return compareWindow(was, is, own, differs)
  if (was.kind === "process" && is.kind === "process" && was.what !== is.what)
    return differs("what it does", showSchema(was), showSchema(is))
  if (was.kind === "process" && is.kind === "process")
    return together(is.states, was.states, "state", (before, now) => compareStates(own, before, now))
  return NOTHING
}

const EXTENT = [
  ["size", "sizeMs"],
  ["slide", "slideMs"],
  ["step", "stepMs"],
  ["offset", "offsetMs"]
] as const

const showMs = (ms: number | undefined): string => (ms === undefined ? "none" : `${ms} ms`)

type WindowSchema = Extract<StateSchema, { kind: "window" }>

const compareWindow = (
  was: WindowSchema,
  is: WindowSchema,
  own: StateDefinition,
  differs: (what: string, before: string, now: string) => Comparison
): Comparison => {
  const [before, now] = [was, is].map(schema => showAssigner(assignerOf(schema))) as [string, string]
  if (before !== now && (was.calendar ?? is.calendar) !== undefined) return differs("the window", before, now)
  for (const [name, field] of EXTENT)
    if (was[field] !== is[field]) return differs(`the window's ${name}`, showMs(was[field]), showMs(is[field]))
  const parts = together(is.aggregates, was.aggregates, "aggregate", (before, now) =>
    compareAggregates(own, before, now)
  )
  // A window that is open has counted without it: what it said in the end would be wrong.
  const added = is.aggregates.filter(one => parts.added.includes(`aggregate ${one.name}`))
  const refused = added.map(one => ({
    operator: own.id,
    what: `aggregate ${one.name}`,
    was: "missing",
    is: showAggregate(one),
    todo: `open windows have not folded it: ${ANOTHER_ID}`
  }))
  return { ...parts, refused: [...parts.refused, ...refused], added: [] }
}

/** Parts of one name are compared, the others are dropped or added. */
const together = <P extends { readonly name: string }>(
  now: readonly P[],
  before: readonly P[],
  noun: string,
  compare: (before: P, now: P) => Comparison
): Comparison => {
  const pairs = now.flatMap(one => {
    const other = before.find(({ name }) => name === one.name)
    return other === undefined ? [] : [compare(other, one)]
  })
  const missing = (of: readonly P[], from: readonly P[]) =>
    of.filter(one => !from.some(({ name }) => name === one.name)).map(one => `${noun} ${one.name}`)
  return {
    refused: pairs.flatMap(pair => pair.refused),
    migrated: pairs.flatMap(pair => pair.migrated),
    dropped: missing(before, now),
    added: missing(now, before)
  }
}

const compareAggregates = (own: StateDefinition, was: AggregateSchema, is: AggregateSchema): Comparison => {
  const what = `aggregate ${is.name}`
  if (was.kind !== is.kind) return refuse(own, what, showAggregate(was), showAggregate(is), ANOTHER_ID)
  if (was.shape === undefined || is.shape === undefined) return NOTHING
  return compareShapes(own, what, was.shape, is.shape, own.codecs.get(is.name))
}

const compareStates = (own: StateDefinition, was: NamedStateSchema, is: NamedStateSchema): Comparison => {
  const what = `state ${is.name}`
  const todo = "give the state another name, which starts it empty, or put the old definition back"
  if (was.kind !== is.kind || was.ttl !== is.ttl) return refuse(own, what, showState(was), showState(is), todo)
  return compareShapes(own, what, was.shape, is.shape, own.codecs.get(is.name))
}

const compareShapes = (
  own: StateDefinition,
  what: string,
  was: Shape,
  is: Shape,
  codec: StoredCodec | undefined
): Comparison => {
  if (sameShape(was, is)) return NOTHING
  const found = codec !== undefined && migrationOf(codec, was) !== undefined ? [] : misfits(was, is)
  if (found.length === 0) return { ...NOTHING, migrated: [what] }
  const canMigrate = codec?.migrations !== undefined
  return { ...NOTHING, refused: found.map(one => misfitOf(own.id, what, one, canMigrate)) }
}

/** The migration that takes values of a shape. */
export const migrationOf = (codec: StoredCodec, was: Shape) =>
  codec.migrations?.find(({ from }) => from.shape !== undefined && sameShape(from.shape, was))

const misfitOf = (operator: string, what: string, misfit: Misfit, canMigrate: boolean): Difference => {
  const { path, was, is } = misfit
  return {
    operator,
    what: path === "" ? what : `${what} ${path}`,
    was: showShape(was),
    is: showShape(is),
    todo: canMigrate ? migrationFor(was) : withoutMigration(misfit)
  }
}

const migrationFor = (was: Shape | undefined): string =>
  was === undefined
    ? "give the field a default (Schema.withDecodingDefaultKey), make it optional, or add a migration"
    : "add a migration (State.migration) from the schema that it was written with"

/** What Headrace keeps by itself (elements of joins and lists, sketches, sets) takes no migration. */
const withoutMigration = ({ path, was }: Misfit): string => {
  if (was === undefined)
    return `give the field a default (Schema.withDecodingDefaultKey), make it optional, or ${ANOTHER_ID}`
  return was === "any" && path === ""
    ? "it was written by an earlier version of Headrace, which did not say what it keeps: give the step another id, which starts it empty, or go on with that version"
    : ANOTHER_ID
}

const refuse = (own: StateDefinition, what: string, was: string, is: string, todo: string): Comparison => ({
  ...NOTHING,
  refused: [{ operator: own.id, what, was, is, todo }]
})
