import { ByteWriter } from "../bytes.ts"
import { EntryReader, KeyOrder } from "./block.ts"
import { endOfRow } from "./cellEntries.ts"
import { StateError } from "./error.ts"

/*
 * Behind the entries of a block, so that nobody has to walk over them who takes them up; numbers are little-endian u32:
 *   where each entry starts · rows · entries
 */
const NUMBER_BYTES = 4
const COUNTS_BYTES = 2 * NUMBER_BYTES

/** What stands behind the entries of a stored block, so that it need not be walked over. */
export interface BlockIndex {
  /** Where each entry starts, one at least. */
  readonly starts: Int32Array<ArrayBuffer>
  /** Keys that cells in it belong to; of other state it means nothing. */
  readonly rows: number
}

/** A block as it comes from where it was stored. */
export interface StoredBlock {
  readonly bytes: Uint8Array
  /** Of entries that were stored with one, and have not been merged since. */
  readonly index?: BlockIndex
}

/** Makes the indexes of blocks, one after the other. */
export class IndexWriter {
  private readonly starts = new ByteWriter(1 << 12)
  private readonly reader = new EntryReader()

  /** Appends its index to the block that begins at `from`, which has an entry. Throws StateError if they are in no order. */
  append(out: ByteWriter, from: number): void {
    const { starts, reader } = this
    const order = new KeyOrder()
    let rows = 0
    starts.clear()
    reader.reset(out.bytes, from, out.length)
    while (reader.next()) {
      if (order.next(reader) < endOfRow(reader) - reader.keyStart) rows++
      number(starts, reader.start - from)
    }
    out.copy(starts.bytes, 0, starts.length)
    number(out, rows)
    number(out, reader.count)
  }
}

const number = (out: ByteWriter, value: number): void => {
  out.reserve(NUMBER_BYTES)
  out.view.setUint32(out.length, value, true)
  out.length += NUMBER_BYTES
}

/** Takes block and index apart; the entries are a view. Throws StateError. */
export const indexedBlock = (stored: Uint8Array): StoredBlock => {
  const counts = stored.length - COUNTS_BYTES
  const view = new DataView(stored.buffer, stored.byteOffset, stored.length)
  const count = counts < 0 ? 0 : view.getUint32(counts + NUMBER_BYTES, true)
  const end = counts - count * NUMBER_BYTES
  if (count === 0 || end < 0) throw new StateError("Damaged", "A checkpoint's block has no index where one has to be")
  const starts = new Int32Array(stored.slice(end, counts).buffer)
  return { bytes: stored.subarray(0, end), index: { starts, rows: view.getUint32(counts, true) } }
}
