import { DecodeError, type FieldSpan, type RecordDecoder } from "@headrace/core"
import { compatible, typeOf } from "./evolution.ts"
import { type RecordPlan, resolve } from "./resolve.ts"
import { compileScan, type Scan } from "./scan.ts"
import type { AvroJson, RecordType } from "./schema.ts"
import { type Slot, type State, slotsOf, stateOf } from "./slots.ts"
import { compileView } from "./view.ts"

/** Confluent's frame: a zero byte and the schema's id, big-endian. */
export const FRAME = 5

/** A decoder and how it learns the writers it meets. */
export interface Decoder {
  readonly decoder: RecordDecoder
  /**
   * From now on records of this writer schema can be read. Called once for each schema id. Throws DecodeError
   * Incompatible with the field and the reason where the reader schema cannot read it.
   */
  readonly learn: (schemaId: number, writerSchema: AvroJson) => void
}

/** One writer that a decoder knows. */
export interface Writer {
  readonly type: RecordType
  readonly plan: RecordPlan
  scan: Scan
  /** Where the writer's fields start in the record last scanned; filled only once `trace` was called. */
  positions: Int32Array | undefined
}

/** What an encoder needs of a decoder to copy its fields as bytes. */
export interface Internals {
  readonly reader: RecordType
  readonly state: State
  readonly writers: readonly Writer[]
  /** Makes the scans note positions, those of writers yet to come too. */
  readonly trace: () => void
}

const internals = new WeakMap<RecordDecoder, Internals>()

/** Undefined for a decoder of another format. */
export const internalsOf = (decoder: RecordDecoder): Internals | undefined => internals.get(decoder)

/** Compiles a decoder for a reader schema, which is a record. It knows no writers yet. Throws DecodeError Incompatible. */
export const makeDecoder = (readerSchema: AvroJson): Decoder => {
  const reader = typeOf(readerSchema)
  const slots = slotsOf(reader)
  const state = stateOf(slots)
  const writers = new Writers(slots, state)
  const decoder = decoderOver(reader, slots, state, writers)
  internals.set(decoder, { reader, state, writers: writers.all, trace: () => writers.trace() })
  const learn = (schemaId: number, writerSchema: AvroJson): void => {
    try {
      const type = typeOf(writerSchema)
      const plan = resolve(type, reader) as RecordPlan
      compatible(writerSchema, readerSchema)
      writers.add(schemaId, type, plan)
    } catch (error) {
      if (error instanceof DecodeError) writers.refuse(schemaId, error)
      throw error
    }
  }
  return { decoder, learn }
}

const decoderOver = (reader: RecordType, slots: readonly Slot[], state: State, writers: Writers): RecordDecoder => {
  const { view, materialise } = compileView(slots, state)
  const prototype = Object.getPrototypeOf(view) as object
  return {
    fields: reader.fields.map(field => field.name),
    schemaId,
    knows: id => writers.byId.has(id),
    view: (bytes, offset, length) => {
      writers.scan(bytes, offset, length)
      return view
    },
    materialise,
    span: name => spanOf(slots, state, name),
    extended: names => extend(prototype, names)
  }
}

const schemaId = (b: Uint8Array, offset: number, length: number): number =>
  length < FRAME || b[offset] !== 0
    ? -1
    : ((b[offset + 1]! << 24) | (b[offset + 2]! << 16) | (b[offset + 3]! << 8) | b[offset + 4]!) >>> 0

const extend = (prototype: object, names: readonly string[]): Record<string, unknown> => {
  const extended = Object.create(prototype) as Record<string, unknown>
  for (const name of names) {
    Object.defineProperty(extended, name, { value: undefined, writable: true, enumerable: true, configurable: true })
  }
  return extended
}

/** Only a field that always has bytes: no null and no default can stand in for them. */
const spanOf = (slots: readonly Slot[], state: State, name: string): FieldSpan | undefined => {
  const slot = slots.find(({ field }) => field.name === name)
  if (slot?.form !== "span" || slot.nullable || slot.field.default !== undefined) return undefined
  return new Function("S", `return { start: () => S.s${slot.index}, end: () => S.e${slot.index} }`)(state) as FieldSpan
}

/** The writers by schema id, and the scan of the record's own. */
class Writers {
  readonly all: Writer[] = []
  readonly byId = new Map<number, number>()
  private readonly slots: readonly Slot[]
  private readonly state: State
  /** Why the schemas that cannot be read cannot: each of their records says it. */
  private readonly refused = new Map<number, DecodeError>()
  private traced = false
  private lastId = -1
  private lastScan: Scan | undefined

  constructor(slots: readonly Slot[], state: State) {
    this.slots = slots
    this.state = state
  }

  add(id: number, type: RecordType, plan: RecordPlan): void {
    const positions = this.traced ? new Int32Array(plan.steps.length + 1) : undefined
    this.byId.set(id, this.all.length)
    this.all.push({ type, plan, positions, scan: compileScan(plan, this.slots, this.state, positions) })
    this.lastId = -1
  }

  refuse(id: number, error: DecodeError): void {
    this.refused.set(id, error)
  }

  trace(): void {
    if (this.traced) return
    this.traced = true
    this.lastId = -1
    // The record at hand was scanned without positions: until the next one nothing of it may be copied.
    this.state.writer = -1
    for (const writer of this.all) {
      writer.positions = new Int32Array(writer.plan.steps.length + 1)
      writer.scan = compileScan(writer.plan, this.slots, this.state, writer.positions)
    }
  }

  /** Stands on the record `b[offset, offset + length)`. */
  scan(b: Uint8Array, offset: number, length: number): void {
    const id = schemaId(b, offset, length)
    if (id !== this.lastId || id === -1) this.turnTo(id)
    const end = offset + length
    this.state.b = b
    this.state.end = end
    if (this.lastScan!(b, offset + FRAME, end) !== end) trailing()
  }

  private turnTo(id: number): void {
    if (id === -1)
      throw new DecodeError(
        "NotFramed",
        "not Avro with a schema id: the value does not start with a zero byte and four more"
      )
    const index = this.byId.get(id)
    if (index === undefined) {
      const refused = this.refused.get(id)
      if (refused !== undefined)
        throw new DecodeError(refused.reason, `the schema with id ${id} does not fit: ${refused.message}`)
      throw new DecodeError("UnknownSchema", `the registry has no schema with id ${id}`)
    }
    this.lastId = id
    this.lastScan = this.all[index]!.scan
    this.state.writer = index
  }
}

const trailing = (): never => {
  throw new DecodeError(
    "TrailingBytes",
    "the record goes on after its last field: it was written with another schema than its id says"
  )
}
