import { widthOf } from "../aggregate.ts"
import { ByteWriter } from "../bytes.ts"
import type { StoredCodec } from "../codec.ts"
import { readKey } from "../key.ts"
import { FIRED } from "../operators/firedKeys.ts"
import { FIRST_STATE } from "../operators/processLayout.ts"
import type { Entry } from "../state/block.ts"
import { StateError } from "../state/error.ts"
import { ValueReader, writeNumber } from "../state/number.ts"
import { isDescriptor, type StateDescriptor, writeDescriptor } from "../state/operator.ts"
import { NAMESPACE_BYTES, operatorHash } from "../state/order.ts"
import { type AggregateSchema, type StateDefinition, type StateSchema, showSchema } from "../state/schema.ts"
import { type Shape, sameShape } from "../state/shape.ts"
import { migrationOf } from "./compare.ts"
import { ownerOf } from "./placement.ts"

/** The first handle number behind those that each window has. */
const ROWS = 2

/** Makes an entry of a savepoint one of the pipeline; undefined: it has no use for it. */
export type Rewrite = (key: Uint8Array, value: Uint8Array) => Entry | undefined

/**
 * Rewrites the entries of one operator, whose `compareState` refused nothing: drops what is not there any more, renumbers
 * handles and columns, and migrates values. Throws StateError `Incompatible` with the key whose value cannot be.
 */
export const rewriteState = (written: StateDescriptor, own: StateDefinition): Rewrite => {
  const was = written.schema
  const is = own.schema
  const parts =
    was.kind === "process" && is.kind === "process"
      ? processParts(was.states, is.states, own)
      : was.kind === "window" && is.kind === "window"
        ? windowParts(was.aggregates, is.aggregates, own)
        : undefined
  if (parts === undefined && was.kind !== is.kind)
    throw new StateError("Incompatible", `State of "${own.id}" was ${showSchema(was)}, and is ${showSchema(is)}`)
  const describe = writeDescriptor(own)
  const operator = operatorHash(own.id)
  return (key, value) => {
    if (isDescriptor(key)) return [placed(key, operator), describe]
    const handle = key[NAMESPACE_BYTES]!
    const part = parts?.handles.get(handle)
    if (part !== undefined) return [placed(key, operator, part.handle), convert(own.id, was, part, key, value)]
    return parts === undefined || handle < parts.first ? [placed(key, operator), value] : undefined
  }
}

/** What happens to the entries of one handle. */
interface Part {
  readonly handle: number
  /** For errors. */
  readonly name: string
  readonly value: (value: Uint8Array) => Uint8Array
}

interface Parts {
  /** Entries of handles before this one stay as they are. */
  readonly first: number
  readonly handles: ReadonlyMap<number, Part>
}

const ANOTHER = "give it another name, or the step another id, which starts it empty"

const convert = (id: string, schema: StateSchema, part: Part, key: Uint8Array, value: Uint8Array): Uint8Array => {
  try {
    return part.value(value)
  } catch (cause) {
    const owner = ownerOf(schema, key)
    const whose = owner === undefined ? "" : ` of the key ${String(readKey(key, owner.start, owner.end, owner.kind))}`
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new StateError(
      "Incompatible",
      `${part.name} of "${id}"${whose} cannot be migrated: ${why}. Correct its schema, or the migration, or ${ANOTHER}`
    )
  }
}

/** The key under another operator and handle number. */
const placed = (key: Uint8Array, operator: number, handle = key[NAMESPACE_BYTES]!): Uint8Array => {
  // Not key.slice(): that of a Buffer is a view.
  const copy = new Uint8Array(key)
  new DataView(copy.buffer).setUint32(0, operator)
  copy[NAMESPACE_BYTES] = handle
  return copy
}

/** Reads a value by the codec that wrote it and writes it as it is now; undefined: the bytes stay. */
const changeOf = (
  codec: StoredCodec,
  was: Shape
): ((bytes: Uint8Array, start: number, out: ByteWriter) => void) | undefined => {
  if (codec.shape === undefined || sameShape(was, codec.shape)) return undefined
  const migration = migrationOf(codec, was)
  return (bytes, start, out) => {
    const before = (migration?.from ?? codec).read(bytes, start, bytes.length)
    codec.write(migration === undefined ? before : migration.migrate(before as never), out)
  }
}

type ProcessStates = Extract<StateSchema, { kind: "process" }>["states"]

const processParts = (was: ProcessStates, is: ProcessStates, own: StateDefinition): Parts => {
  const handles = new Map<number, Part>()
  was.forEach(({ name, ttl, shape }, i) => {
    const place = is.findIndex(one => one.name === name)
    if (place < 0) return
    const change = changeOf(own.codecs.get(name)!, shape)
    handles.set(FIRST_STATE + i, {
      handle: FIRST_STATE + place,
      name: `State ${name}`,
      value: change === undefined ? same : cellValue(ttl, change)
    })
  })
  return { first: FIRST_STATE, handles }
}

const same = (value: Uint8Array): Uint8Array => value

/** A cell is `due · order` if it has a time, then the value. */
const cellValue =
  (timed: boolean, change: (bytes: Uint8Array, start: number, out: ByteWriter) => void) =>
  (value: Uint8Array): Uint8Array => {
    const out = new ByteWriter(value.length + 16)
    const reader = new ValueReader()
    reader.reset(value)
    if (timed) {
      reader.number()
      reader.number()
    }
    out.copy(value, 0, reader.at)
    change(value, reader.at, out)
    return out.written()
  }

const windowParts = (was: readonly AggregateSchema[], is: readonly AggregateSchema[], own: StateDefinition): Parts => {
  const handles = new Map<number, Part>()
  const changed = JSON.stringify(was) !== JSON.stringify(is)
  handles.set(ROWS, { handle: ROWS, name: "A row", value: changed ? rowValue(was, is, own) : same })
  const setsBefore = was.filter(one => one.kind === "distinctCount")
  const setsNow = is.filter(one => one.kind === "distinctCount")
  setsBefore.forEach(({ name }, i) => {
    const place = setsNow.findIndex(one => one.name === name)
    if (place >= 0) handles.set(ROWS + 1 + i, { handle: ROWS + 1 + place, name: `Aggregate ${name}`, value: same })
  })
  handles.set(FIRED, { handle: FIRED, name: "What has fired", value: same })
  return { first: ROWS, handles }
}

/** A row is the arrival, the numbers of the aggregates in their order, then each custom one's bytes with their length. */
const rowValue =
  (was: readonly AggregateSchema[], is: readonly AggregateSchema[], own: StateDefinition) =>
  (value: Uint8Array): Uint8Array => {
    const reader = new ValueReader()
    reader.reset(value)
    const arrival = reader.number()
    const numbers = new Map(
      was.map(one => [one.name, Array.from({ length: widthOf(one.kind) }, () => reader.number())])
    )
    const customs = new Map<string, Uint8Array>()
    for (const { name, kind } of was) {
      if (kind !== "custom") continue
      const length = reader.varint()
      const start = reader.skip(length)
      customs.set(name, value.subarray(start, start + length))
    }
    reader.end()
    const out = new ByteWriter(value.length + 16)
    writeNumber(out, arrival)
    for (const { name } of is) for (const number of numbers.get(name)!) writeNumber(out, number)
    for (const { name, kind } of is) {
      if (kind !== "custom") continue
      const bytes = customs.get(name)!
      const change = changeOf(own.codecs.get(name)!, was.find(one => one.name === name)!.shape!)
      const start = out.open()
      if (change === undefined) out.copy(bytes, 0, bytes.length)
      else change(bytes, 0, out)
      out.close(start)
    }
    return out.written()
  }
