import { ByteWriter } from "../bytes.ts"
import type { KeyForm } from "../keyPlace.ts"
import { NO_WATERMARK } from "../operator.ts"
import { above, type Floors, together } from "../operators/floors.ts"
import { FIRST_STATE, PROCESSING_TIMERS, TIMERS } from "../operators/processLayout.ts"
import { type Progress, progressCodec, START } from "../operators/progress.ts"
import { NOWHERE, type Reach, reachCodec } from "../operators/reach.ts"
import type { Entry } from "../state/block.ts"
import { ValueReader, writeNumber } from "../state/number.ts"
import type { StateDescriptor } from "../state/operator.ts"
import { NAMESPACE_BYTES } from "../state/order.ts"
import type { NamedStateSchema, StateSchema } from "../state/schema.ts"
import { TIME_BYTES, timeCodec } from "../time/sourceClock.ts"

const ROWS = 2

/**
 * The partitions of `before` whose keys may belong to partition `partition` of `after`. Kafka's default partitioner takes
 * the rest of a hash, so it is all of them only where the two numbers have no common divisor.
 */
export const contributors = (partition: number, before: number, after: number): readonly number[] => {
  const shared = divisor(before, after)
  return Array.from({ length: before }, (_, one) => one).filter(one => one % shared === partition % shared)
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))

/**
 * What the partitions that become one have come to: the value of an operator's own entry, made of theirs (undefined:
 * there is none). Event time is the least of them.
 */
export const combined = (
  { schema }: StateDescriptor,
  values: readonly Parent[],
  before: number,
  form: KeyForm
): Uint8Array | undefined => {
  if (values.every(({ own }) => own === undefined)) return undefined
  const out = new ByteWriter(24)
  if (schema.kind === "window") progressCodec.write(slowest(values, before, form), out)
  else if (schema.kind === "process") reachCodec.write(least(values, before, form), out)
  else timeCodec.write(Math.min(...values.map(({ own }) => timeOf(own))), out)
  return out.written()
}

/** A partition that others come from, and the operator's own entry there. */
export interface Parent {
  readonly partition: number
  readonly own: Uint8Array | undefined
}

/** Of a stage it is the time that it has come to: what stands behind that is of the partitions before it. */
const timeOf = (value: Uint8Array | undefined): number =>
  value === undefined ? NO_WATERMARK : timeCodec.read(value, 0, TIME_BYTES)

const reachOf = (value: Uint8Array | undefined): Reach =>
  value === undefined ? NOWHERE : reachCodec.read(value, 0, value.length)

export const progressOf = (value: Uint8Array | undefined): Progress =>
  value === undefined ? START : progressCodec.read(value, 0, value.length)

/**
 * Each key goes on from where its partition had come to: what that had fired beyond the slowest one is kept as floors. Of a
 * window that was just firing the keys that are out are kept by themselves (`Firing`).
 */
const slowest = (parents: readonly Parent[], before: number, form: KeyForm): Progress => {
  const all = parents.map(({ own }) => progressOf(own))
  const current = Math.min(...all.map(one => one.current))
  const fired = Math.min(current, ...all.map(one => one.fired))
  const own = all.map(one => one.fired)
  return { current, fired, emitted: 0, floors: floorsOf(parents, own, all, before, form, fired) }
}

/** The same of a step without windows on a grid: to none of its keys event time goes back. */
const least = (parents: readonly Parent[], before: number, form: KeyForm): Reach => {
  const all = parents.map(({ own }) => reachOf(own))
  const own = all.map(one => one.time)
  const time = Math.min(...own)
  return { time, floors: floorsOf(parents, own, all, before, form, time) }
}

/** What tells more than that all have come to `time`. `own`: how far each parent has. */
const floorsOf = (
  parents: readonly Parent[],
  own: readonly number[],
  earlier: readonly { readonly floors: readonly Floors[] }[],
  before: number,
  form: KeyForm,
  time: number
): readonly Floors[] => {
  const fired = new Array<number>(before).fill(NO_WATERMARK)
  for (const [i, { partition }] of parents.entries()) fired[partition] = own[i]!
  return above(together([...earlier.flatMap(one => one.floors), { form, fired }]), time)
}

/** Order within a partition (of arrival, of what is due) becomes order within the merged one: no two are the same. */
export const renumbered = (schema: StateSchema, [key, value]: Entry, index: number, count: number): Entry => {
  const handle = key[NAMESPACE_BYTES]!
  if (schema.kind === "window" && handle === ROWS) return [key, numbered(value, 0, index, count)]
  if (schema.kind === "process" && isTimed(schema.states, handle)) return [key, numbered(value, 1, index, count)]
  return [key, value]
}

const isTimed = (states: readonly NamedStateSchema[], handle: number): boolean =>
  handle === TIMERS || handle === PROCESSING_TIMERS || (states[handle - FIRST_STATE]?.ttl ?? false)

/** Changes the number behind `before` others. */
const numbered = (value: Uint8Array, before: number, index: number, count: number): Uint8Array => {
  const reader = new ValueReader()
  reader.reset(value)
  for (let i = 0; i < before; i++) reader.number()
  const out = new ByteWriter(value.length + 8)
  out.copy(value, 0, reader.at)
  writeNumber(out, reader.number() * count + index)
  out.copy(value, reader.at, value.length)
  return out.written()
}
