import type { Key, MapHandle, ProcessContext, ReadonlyMapHandle } from "@headrace/core"
import type { Schema } from "effect"
import { plainName } from "./check.ts"
import { type Draft, nearest } from "./draft.ts"
import { check } from "./error.ts"
import type { ProcessNode } from "./nodes.ts"
import type { Handles, State } from "./state.ts"
import { jsonCodec } from "./stateCodec.ts"

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

/** What a `broadcast` step does: a process step, whose keys see what records C of another stream have left in a map. */
export interface BroadcastProcess<A, K, S extends States, B, O extends Sides, C, MK extends Key, MV>
  extends Omit<Process<A, K, S, B, O>, "onRecord" | "onTimer" | "onProcessingTimer"> {
  /** What the map holds: each partition has all of it, and it survives as other state does. The key's schema says its type. */
  readonly broadcast: { readonly key: Schema.Codec<MK, unknown>; readonly value: Schema.Codec<MV, unknown> }
  /** Called once for each record of the other stream, in each partition. */
  readonly onBroadcast: (record: C, map: MapHandle<MK, MV>, timestamp: number) => void
  readonly onRecord: (record: A, context: Sees<K, S, B, O, MK, MV>) => void
  readonly onTimer?: (time: number, context: Sees<K, S, B, O, MK, MV>) => void
  readonly onProcessingTimer?: (time: number, context: Sees<K, S, B, O, MK, MV>) => void
}

type Sees<K, S, B, O extends Sides, MK, MV> = ProcessContext<K, Handles<S>, B, Records<O>, ReadonlyMapHandle<MK, MV>>

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

type AnyBroadcast = AnyProcess & {
  readonly broadcast: { readonly value: Schema.Codec<unknown, unknown> }
  readonly onBroadcast: (record: never, map: never, timestamp: number) => void
}

/** A process step, and beside its input a stream that goes to all partitions. */
export const broadcastDraft = (input: Draft, other: Draft, id: string, process: AnyBroadcast): Draft => {
  const draft = processDraft(input, id, process)
  const broadcast = { codec: jsonCodec(process.broadcast.value), onBroadcast: process.onBroadcast }
  return { ...draft, inputs: [input, other], spec: { ...(draft.spec as ProcessNode), kind: "broadcast", broadcast } }
}

/** What a step sends to one of its sides. */
export const sideDraft = (process: Draft, name: string, schema: Schema.Top | undefined): Draft => ({
  id: `${process.id}/${plainName("a side output", name)}`,
  fixed: true,
  inputs: [process],
  beside: [],
  spec: { kind: "side", name, schema }
})
