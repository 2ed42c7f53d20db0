import { ByteWriter } from "../bytes.ts"
import type { EntryRange, EntryReader } from "./block.ts"
import { showStateChange, stateChanges } from "./changed.ts"
import { PREFIX_TOMBSTONE, TOMBSTONE, writePut } from "./changes.ts"
import { StateError } from "./error.ts"
import {
  HANDLE_BYTES,
  NAMESPACE_BYTES,
  NO_NAMESPACE,
  OPERATOR_BYTES,
  operatorHash,
  readOrdered,
  writeStateKey
} from "./order.ts"
import type { StateDefinition, StateSchema } from "./schema.ts"
import { addSize, drainAll, noState, type Spilling, type SpillStore, type StateSize } from "./spill.ts"

/** What an operator's state is: state of another schema is refused. Savepoints migrate it (savepoint/). */
export type StateDescriptor = Pick<StateDefinition, "id" | "schema">

/** One part of an operator's state, under one or more handle numbers (from 1). */
export interface StateHandle extends Spilling {
  readonly delta: (out: ByteWriter) => void
  readonly snapshot: (out: ByteWriter) => void
  /**
   * Puts back an entry if the handle number is its own; false if not. The handle's own key is behind HANDLE_BYTES.
   * `removed`: it is a tombstone, which is no handle's own that never writes one.
   */
  readonly restore: (handle: number, namespace: number, entry: EntryRange, removed: boolean) => boolean
  /**
   * Takes up the entries of a checkpoint that the reader stands before, all of them of one handle, and keeps them as they
   * are, a copy. False, and nothing was read: they have to be put back one by one.
   */
  readonly keep?: (handle: number, entries: EntryReader) => boolean
  /** Forgets what it holds in a namespace, by a prefix tombstone in the log. */
  readonly forget: (namespace: number) => void
}

const DESCRIPTOR = 0
const text = new TextEncoder()
const utf8 = new TextDecoder()

/**
 * The state of one operator: handles, and the descriptor entry that stands before them in key order and in the log.
 * It holds the id, so that an unknown operator can be named and a collision of hashes is seen.
 */
export class OperatorState implements Spilling {
  readonly operator: number
  private readonly descriptor: StateDescriptor
  private readonly handles: readonly StateHandle[]
  private described = false
  private readonly key = new ByteWriter(HANDLE_BYTES)
  private readonly value = new ByteWriter(64)

  constructor(descriptor: StateDescriptor, handles: readonly StateHandle[]) {
    this.descriptor = descriptor
    this.operator = operatorHash(descriptor.id)
    this.handles = handles
    writeStateKey(this.key, this.operator, NO_NAMESPACE, DESCRIPTOR)
    const json = writeDescriptor(descriptor)
    this.value.copy(json, 0, json.length)
  }

  delta(out: ByteWriter): void {
    if (!this.described) this.describe(out)
    this.described = true
    for (const handle of this.handles) handle.delta(out)
  }

  snapshot(out: ByteWriter): void {
    this.describe(out)
    for (const handle of this.handles) handle.snapshot(out)
  }

  restore(change: EntryRange, kind: number): void {
    if (kind === PREFIX_TOMBSTONE) this.forget(change)
    else this.put(change, kind === TOMBSTONE)
  }

  putBack(handle: number, entries: EntryReader): void {
    if (this.described && this.handles.some(one => one.keep?.(handle, entries))) return
    while (entries.next()) this.put(entries, false)
  }

  size(): StateSize {
    return this.handles.reduce((sum, handle) => addSize(sum, handle.size()), noState())
  }

  age(store: SpillStore): void {
    for (const handle of this.handles) handle.age(store)
  }

  drain(limit: number): number {
    return drainAll(this.handles, limit)
  }

  private put(entry: EntryRange, removed: boolean): void {
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = entry
    const size = keyEnd - keyStart
    const number = bytes[keyStart + NAMESPACE_BYTES]!
    if (size < HANDLE_BYTES) throw this.unknown(entry)
    if (size === HANDLE_BYTES && number === DESCRIPTOR && !removed)
      return this.check(bytes.subarray(valueStart, valueEnd))
    if (!this.described) throw new StateError("Damaged", `State of "${this.descriptor.id}" comes before its descriptor`)
    const namespace = readOrdered(bytes, keyStart + OPERATOR_BYTES)
    for (const handle of this.handles) if (handle.restore(number, namespace, entry, removed)) return
    throw this.unknown(entry)
  }

  private describe(out: ByteWriter): void {
    writePut(out, this.key, this.value)
  }

  private forget(prefix: EntryRange): void {
    const { bytes, keyStart, keyEnd } = prefix
    if (keyEnd - keyStart !== NAMESPACE_BYTES) throw this.unknown(prefix)
    for (const handle of this.handles) handle.forget(readOrdered(bytes, keyStart + OPERATOR_BYTES))
  }

  private check(value: Uint8Array): void {
    const { id, schema } = readDescriptor(value)
    const own = this.descriptor
    if (id !== own.id)
      throw new StateError("Collision", `Operators "${id}" and "${own.id}" share a hash: give one of them another id`)
    const changes = stateChanges(schema, own.schema)
    if (changes.length > 0)
      throw new StateError(
        "Incompatible",
        [
          `State of "${id}" is not what the pipeline keeps:`,
          ...changes.map(change => showStateChange(id, change)),
          "Take a savepoint with the old pipeline (headrace savepoint create), and start the changed one from it (headrace run --from-savepoint, with --force or as another --app), which migrates what can be; or put the old definition back"
        ].join("\n")
      )
    this.described = true
  }

  private unknown({ bytes, keyStart, keyEnd }: EntryRange): StateError {
    const key = bytes.subarray(keyStart, Math.min(keyEnd, keyStart + 32))
    const hex = Array.from(key, byte => byte.toString(16).padStart(2, "0")).join("")
    return new StateError("Damaged", `State of "${this.descriptor.id}" has an entry of unknown form, key ${hex}`)
  }
}

/** Whether an entry describes an operator. */
export const isDescriptor = (key: Uint8Array): boolean =>
  key.length === HANDLE_BYTES && key[NAMESPACE_BYTES] === DESCRIPTOR

/** The value of an operator's descriptor entry. */
export const writeDescriptor = ({ id, schema }: StateDescriptor): Uint8Array =>
  text.encode(JSON.stringify([id, schema]))

/** Reads a descriptor entry's value. Throws StateError `Damaged`. */
export const readDescriptor = (value: Uint8Array): StateDescriptor => {
  try {
    const [id, schema] = JSON.parse(utf8.decode(value)) as [string, StateSchema]
    if (typeof schema !== "object") throw new Error("it is of an earlier version of Headrace")
    return { id, schema }
  } catch (error) {
    throw new StateError("Damaged", `The descriptor of an operator's state cannot be read: ${String(error)}`)
  }
}
