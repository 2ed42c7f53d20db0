import { ByteWriter } from "../bytes.ts"
import type { ValueCodec } from "../codec.ts"
import { ARRIVAL, FIRST_NUMBER, type Group, type GroupLayout, type Rows } from "./group.ts"
import { ValueReader, writeNumber } from "./number.ts"
import { HANDLE_BYTES, operatorHash, writeOrdered, writeStateKey } from "./order.ts"

/** Handle numbers: the rows, then one for each set. 1 is the operator's own value. */
export const ROWS = 2
/** In the store only: keys by their arrival. */
const LIST = 255

/**
 * Slots of groups as entries:
 *   key    operator · namespace · handle · kind · key, or of a set: element
 *   value  arrival · numbers · values, each with its length; of a set: nothing
 */
export class GroupEntries {
  /** The kind of all keys (see Keyed), 0 before the first. Stands in each entry. */
  keyKind = 0
  /** What was made last. */
  readonly key = new ByteWriter(64)
  readonly value = new ByteWriter(64)
  private readonly operator: number
  private readonly layout: GroupLayout
  private readonly scratch = new ByteWriter(64)
  private readonly reader = new ValueReader()

  constructor(id: string, layout: GroupLayout) {
    this.operator = operatorHash(id)
    this.layout = layout
  }

  /** With what all keys of a namespace begin. */
  prefixOf(namespace: number): ByteWriter {
    this.key.clear()
    this.key.u32(this.operator)
    writeOrdered(this.key, namespace)
    return this.key
  }

  /** With what the keys of a part of a group begin. */
  beginKeys(group: Group, part: number): void {
    this.key.clear()
    writeStateKey(this.key, this.operator, group.namespace, ROWS + part)
    this.key.u8(this.keyKind)
  }

  /** Makes key and value of a slot, behind `beginKeys`. */
  make(rows: Rows, part: number, slot: number): void {
    const { keys, offsets } = rows.part(part)
    this.key.length = HANDLE_BYTES + 1
    this.key.copy(keys, offsets[slot]!, offsets[slot + 1]!)
    this.value.clear()
    if (part === 0) this.writeRow(rows, slot)
  }

  /** Fills a slot with an entry's value. */
  readRow(group: Group, rows: Rows, slot: number, bytes: Uint8Array, start: number, end: number): void {
    const { numbers, codecs } = this.layout
    const { table, values } = rows
    const base = slot * table.stride
    this.reader.reset(bytes, start, end)
    for (let column = ARRIVAL; column < FIRST_NUMBER + numbers; column++)
      table.rows[base + column] = this.reader.number()
    const begin = this.reader.at
    for (let i = 0; i < codecs.length; i++) values[i]![slot] = this.readValue(codecs[i]!, bytes)
    if (codecs.length > 0) this.weigh(rows, slot, this.reader.at - begin)
    this.reader.end()
    const arrival = table.rows[base + ARRIVAL]!
    if (arrival !== slot) group.shuffled = true
    group.arrivals = Math.max(group.arrivals, arrival + 1)
  }

  /** Where the store's list of keys has the one of this arrival. Valid until the next call. */
  listKey(group: Group, arrival: number): Uint8Array {
    this.scratch.clear()
    writeStateKey(this.scratch, this.operator, group.namespace, LIST)
    writeOrdered(this.scratch, arrival)
    return this.scratch.written()
  }

  private writeRow(rows: Rows, slot: number): void {
    const { numbers, codecs } = this.layout
    const { table, values } = rows
    const base = slot * table.stride
    for (let column = ARRIVAL; column < FIRST_NUMBER + numbers; column++)
      writeNumber(this.value, table.rows[base + column]!)
    if (codecs.length === 0) return
    const begin = this.value.length
    for (let i = 0; i < codecs.length; i++) this.writeValue(codecs[i]!, values[i]![slot])
    this.weigh(rows, slot, this.value.length - begin)
  }

  private writeValue(codec: ValueCodec<unknown>, value: unknown): void {
    const start = this.value.open()
    codec.write(value, this.value)
    this.value.close(start)
  }

  private readValue(codec: ValueCodec<unknown>, value: Uint8Array): unknown {
    const length = this.reader.varint()
    const start = this.reader.skip(length)
    return codec.read(value, start, start + length)
  }

  /** What the values of a slot take: in a column of its own, so that they can be weighed again. */
  private weigh(rows: Rows, slot: number, bytes: number): void {
    const { table } = rows
    const at = slot * table.stride + FIRST_NUMBER + this.layout.numbers
    rows.weight.weigh(table.rows[at]!, bytes)
    table.rows[at] = bytes
  }
}
