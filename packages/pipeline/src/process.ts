import type { ProcessContext } from "@headrace/core"
import type { Schema } from "effect"
import { plainName } from "./check.ts"
import { type Draft, nearest } from "./draft.ts"
import { check } from "./error.ts"
import type { ProcessNode } from "./plan.ts"
import type { Handles, State } from "./state.ts"

export type States = Readonly<Record<string, State<unknown>>>

/** Schemas by the name of a side output. */
export type Sides = Readonly<Record<string, Schema.Codec<object, unknown>>>
type Records<O extends Sides> = { readonly [Name in keyof O]: O[Name]["Type"] }

/** What a `process` step does with the records A of a stream keyed by K: it emits records B, and others to the sides O. */
export interface Process<A, K, S extends States, B, O extends Sides = Readonly<Record<never, never>>> {
  /** The schema of what it emits. */
  readonly emits: Schema.Codec<B, unknown>
  /** Side outputs, by name, with the schema of each: what `emitTo` sends there is read by `side`. */
  readonly sides?: O
  /** By name; each key has its own. State is found again by the step's id and these names. */
  readonly state: S
  /** Called once for each record, on a plain object. Synchronous: the context is of use during the call only. */
  readonly onRecord: (record: A, context: ProcessContext<K, Handles<S>, B, Records<O>>) => void
  /** Called once for each registered timer, when the watermark passes its time. */
  readonly onTimer?: (time: number, context: ProcessContext<K, Handles<S>, B, Records<O>>) => void
  /**
   * Called once for each timer registered with `processingTimers`, when the wall clock has reached its time, on
   * partitions without records too. What it does is committed once, but when it is done depends on the clock.
   */
  readonly onProcessingTimer?: (time: number, context: ProcessContext<K, Handles<S>, B, Records<O>>) => void
}

/** The same, whatever it is about. */
type AnyProcess = Pick<ProcessNode, "emits" | "onRecord"> & {
  readonly state: States
  readonly sides?: Sides
  readonly onTimer?: ProcessNode["onTimer"]
  readonly onProcessingTimer?: ProcessNode["onProcessingTimer"]
}

export const processDraft = (input: Draft, id: string, process: AnyProcess): Draft => {
  plainName("an id", id)
  check(nearest(input, "keyBy") !== undefined, () => `${id} has no key: call keyBy before process`)
  const state = Object.entries(process.state).map(([name, { spec }]) => [plainName("a state's name", name), spec])
  const { emits, onRecord, onTimer, onProcessingTimer } = process
  return {
    id,
    fixed: true,
    inputs: [input],
    beside: [],
    spec: { kind: "process", emits, state: Object.fromEntries(state), onRecord, onTimer, onProcessingTimer }
  }
}

/** What a process step sends to one of its sides. */
export const sideDraft = (process: Draft, name: string, schema: Schema.Top): Draft => ({
  id: `${process.id}/${plainName("a side output", name)}`,
  fixed: true,
  inputs: [process],
  beside: [],
  spec: { kind: "side", name, schema }
})
