import { ByteWriter } from "../bytes.ts"
import type { ValueCodec } from "../codec.ts"
import { BIGINT_KEY, type Key, readKey, STRING_KEY, writeKey } from "../key.ts"
import type { EntryRange } from "./block.ts"
import type { Cell } from "./cell.ts"
import { StateError } from "./error.ts"
import { ValueReader, writeNumber } from "./number.ts"
import { HANDLE_BYTES, NO_NAMESPACE, operatorHash, writeOrdered, writeStateKey } from "./order.ts"

export interface CellLayout<V> {
  /** The id of the operator, and the handle number (1 …) within it. */
  readonly id: string
  readonly handle: number
  readonly codec: ValueCodec<V>
  /** Whether cells have a time at which they are due: then it stands in their entries. */
  readonly timed: boolean
}

/** In the store only: keys by the time at which something of theirs is due. */
const DUE_LIST = 255
/** `operator · namespace · DUE_LIST · handle`: the time stands behind it. */
export const DUE_PREFIX_BYTES = HANDLE_BYTES + 1

/**
 * Cells as entries:
 *   key    operator · namespace · handle · kind · varint length · key, then nothing or kind · sub-key
 *   value  due · order if timed, then what the codec makes of the value
 * Entries of one key stand together, in the order of their sub-keys.
 */
export class CellEntries<V> {
  readonly layout: CellLayout<V>
  /** What `write`, `writeKey`, `writeRowKey` and `writeDueKey` made last. */
  readonly key = new ByteWriter(64)
  readonly value = new ByteWriter(64)
  private readonly operator: number
  private readonly prefix: Uint8Array
  private readonly scratch = new ByteWriter(64)
  private readonly reader = new ValueReader()

  constructor(layout: CellLayout<V>) {
    this.layout = layout
    this.operator = operatorHash(layout.id)
    writeStateKey(this.key, this.operator, NO_NAMESPACE, layout.handle)
    this.prefix = this.key.written().slice()
  }

  /** Key and value of a cell. */
  write(cell: Cell<V>): void {
    this.writeKey(cell)
    this.value.clear()
    cell.bytes = this.writeValue(cell.due, cell.order, cell.value, this.value)
  }

  /** Appends a value to `out`. Returns how many bytes the codec made of it. */
  writeValue(due: number, order: number, value: V, out: ByteWriter): number {
    if (this.layout.timed) {
      writeNumber(out, due)
      writeNumber(out, order)
    }
    const begin = out.length
    this.layout.codec.write(value, out)
    return out.length - begin
  }

  writeKey({ key, sub }: Cell<V>): void {
    this.writeRowKey(key)
    if (sub !== undefined) this.writePart(sub, false)
  }

  /** With what the keys of all entries of a key begin, and of no other. */
  writeRowKey(key: Key): void {
    this.writePrefix()
    this.writePart(key, true)
  }

  /** The same at the end of `out`, where the key stands as bytes. */
  writeRowBytes(kind: number, bytes: Uint8Array, start: number, end: number, out: ByteWriter): void {
    out.copy(this.prefix, 0, HANDLE_BYTES)
    out.u8(kind)
    out.varint(end - start)
    out.copy(bytes, start, end)
  }

  /** With what the keys of all entries begin. */
  writePrefix(): void {
    this.key.clear()
    this.key.copy(this.prefix, 0, HANDLE_BYTES)
  }

  /** Its place among all that are due, and what stands there: its key. */
  writeDue({ key, due, order }: Cell<V>): void {
    this.writeRowKey(key)
    this.value.clear()
    this.value.copy(this.key.bytes, HANDLE_BYTES, this.key.length)
    this.writeDuePrefix()
    writeOrdered(this.key, due)
    writeOrdered(this.key, order)
  }

  writeDuePrefix(): void {
    this.key.clear()
    writeStateKey(this.key, this.operator, NO_NAMESPACE, DUE_LIST)
    this.key.u8(this.layout.handle)
  }

  /** The key that `writeDue` put in a value. */
  readDue(value: Uint8Array): Key {
    this.reader.reset(value)
    return this.readKey(value, this.reader.varint(), () => this.reader.varint())
  }

  /** The key and sub-key of an entry. Throws StateError. */
  readKeys(bytes: Uint8Array, start: number, end: number): readonly [key: Key, sub: Key | undefined] {
    this.reader.reset(bytes, start, end)
    this.reader.skip(HANDLE_BYTES)
    const owner = this.readKey(bytes, this.reader.varint(), () => this.reader.varint())
    return [owner, this.readSub(bytes, this.reader.at, end)]
  }

  /** The sub-key of an entry, by what stands behind the key. Throws StateError. */
  readSub(bytes: Uint8Array, start: number, end: number): Key | undefined {
    if (start === end) return undefined
    this.reader.reset(bytes, start, end)
    return this.readKey(bytes, this.reader.varint(), () => end - this.reader.at)
  }

  /** When an entry is due, and its order, where cells are timed. */
  readTime(bytes: Uint8Array, start: number, end: number): readonly [due: number, order: number] {
    this.reader.reset(bytes, start, end)
    return [this.reader.number(), this.reader.number()]
  }

  /** The cell of an entry, as one that was logged. */
  read(key: Key, sub: Key | undefined, bytes: Uint8Array, start: number, end: number): Cell<V> {
    const { timed, codec } = this.layout
    this.reader.reset(bytes, start, end)
    const due = timed ? this.reader.number() : Number.POSITIVE_INFINITY
    const order = timed ? this.reader.number() : 0
    const value = codec.read(bytes, this.reader.at, end)
    const size = end - this.reader.at
    return { key, sub, value, due, order, place: -1, logged: true, removed: false, bytes: size }
  }

  private writePart(part: Key, measured: boolean): void {
    this.scratch.clear()
    this.key.u8(writeKey(this.scratch, part))
    if (measured) this.key.varint(this.scratch.length)
    this.key.copy(this.scratch.bytes, 0, this.scratch.length)
  }

  private readKey(bytes: Uint8Array, kind: number, length: () => number): Key {
    if (kind < STRING_KEY || kind > BIGINT_KEY)
      throw new StateError("Damaged", `A state entry's key is of kind ${kind}`)
    const size = length()
    const start = this.reader.skip(size)
    return readKey(bytes, start, start + size, kind)
  }
}

/** Where what stands for the key ends in an entry's key: behind it the sub-key, or nothing. Throws StateError. */
export const rowEnd = (entry: EntryRange): number => {
  const end = endOfRow(entry)
  if (end > entry.keyEnd) throw new StateError("Damaged", "A state entry's key ends early")
  return end
}

/** The same of whatever state: beyond the entry's key where that is none of a cell. */
export const endOfRow = ({ bytes, keyStart, keyEnd }: EntryRange): number => {
  const begin = keyStart + HANDLE_BYTES + 1
  let length = 0
  let scale = 1
  let at = begin
  for (; at < keyEnd; scale *= 128) {
    const byte = bytes[at++]!
    length += (byte & 127) * scale
    if (byte < 128) break
  }
  return at === begin ? keyEnd + 1 : at + length
}
