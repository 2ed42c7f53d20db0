import { DecodeError, messageOf, type RecordDecoder } from "@headrace/core"
import { type Batch, PARTITION, STRIDE, VALUE_LENGTH, VALUE_START } from "@headrace/engine"
import { type Block, blockOf, MAX_RANGES, PartitionRows } from "./block.ts"
import { BadRecord } from "./errors.ts"
import type { WriteRow } from "./rows.ts"

/** Appends record `i` of the batch. Throws BadRecord. */
export type AppendRecord = (rows: PartitionRows, batch: Batch, i: number) => void

export const appendWith =
  (topic: string, decoder: RecordDecoder, write: WriteRow): AppendRecord =>
  (rows, batch, i) => {
    const { bytes, index, stamps } = batch
    const start = index[i * STRIDE + VALUE_START]!
    const length = index[i * STRIDE + VALUE_LENGTH]!
    const offset = stamps[i * 2]!
    const timestamp = stamps[i * 2 + 1]!
    const before = rows.out.length
    try {
      if (length < 0) throw new DecodeError("Invalid", "a tombstone (no value) cannot become a row")
      write(decoder.view(bytes, start, length), bytes, rows.out, rows.partition, offset, timestamp)
    } catch (error) {
      rows.out.length = before
      throw badRecord(topic, rows.partition, offset, error)
    }
    rows.added(offset, timestamp)
  }

const badRecord = (topic: string, partition: number, offset: number, error: unknown): BadRecord =>
  new BadRecord({
    partition,
    offset,
    message: `${topic}[${partition}] offset ${offset} cannot become a row: ${messageOf(error)}. Nothing from there on was inserted; mend the topic, or commit the group's offset behind it to leave it out`
  })

/** The rows that wait for their block, by partition. Bounded by whoever fills it, see `full`. */
export class Intake {
  readonly owned = new Set<number>()
  private readonly filling = new Map<number, PartitionRows>()
  private readonly spare: PartitionRows[] = []
  private readonly append: AppendRecord
  private readonly blockBytes: number
  private readonly intervalMs: number
  bytes = 0

  constructor(append: AppendRecord, blockBytes: number, intervalMs: number) {
    this.append = append
    this.blockBytes = blockBytes
    this.intervalMs = intervalMs
  }

  /**
   * Takes in the records of owned partitions, `now` in ms, and returns their number. Throws BadRecord, the records
   * before it kept.
   */
  add(batch: Batch, now: number): number {
    let taken = 0
    let rows: PartitionRows | undefined
    for (let i = 0; i < batch.count; i++) {
      const partition = batch.index[i * STRIDE + PARTITION]!
      if (rows?.partition !== partition) rows = this.rowsOf(partition)
      if (rows === undefined) continue
      const before = rows.out.length
      if (rows.rows === 0) rows.since = now
      this.append(rows, batch, i)
      this.bytes += rows.out.length - before
      taken++
    }
    return taken
  }

  private rowsOf(partition: number): PartitionRows | undefined {
    if (!this.owned.has(partition)) return undefined
    const known = this.filling.get(partition)
    if (known !== undefined) return known
    const rows = this.takeSpare(partition)
    this.filling.set(partition, rows)
    return rows
  }

  private takeSpare(partition: number): PartitionRows {
    const i = this.spare.findIndex(rows => rows.partition === partition)
    return i < 0 ? new PartitionRows(partition) : this.spare.splice(i, 1)[0]!
  }

  /** Whether no more should be read until a block has left. */
  get full(): boolean {
    return this.bytes >= this.blockBytes
  }

  /** Whether a block should go: it is large enough, or its first row has waited long enough. */
  due(now: number): boolean {
    if (this.full) return true
    for (const rows of this.filling.values()) if (rows.rows > 0 && now - rows.since >= this.intervalMs) return true
    return false
  }

  get empty(): boolean {
    return this.bytes === 0
  }

  /** Takes what waits, the longest waiting first where it does not all fit into one plan. */
  seal(): Block | undefined {
    const waiting = [...this.filling.values()].filter(rows => rows.rows > 0).sort((a, b) => a.since - b.since)
    const parts = waiting.slice(0, MAX_RANGES).sort((a, b) => a.partition - b.partition)
    for (const part of parts) this.remove(part)
    return parts.length === 0 ? undefined : blockOf(parts)
  }

  private remove(rows: PartitionRows): void {
    this.filling.delete(rows.partition)
    this.bytes -= rows.out.length
  }

  /** Gives a block's buffers back. */
  recycle(block: Block): void {
    for (const part of block.parts) this.reuse(part)
  }

  private reuse(rows: PartitionRows): void {
    rows.clear()
    const kept = this.owned.has(rows.partition) && !this.spare.some(({ partition }) => partition === rows.partition)
    if (kept) this.spare.push(rows)
  }

  /** Forgets a partition with all its rows. */
  drop(partition: number): void {
    this.owned.delete(partition)
    const rows = this.filling.get(partition)
    if (rows !== undefined) this.remove(rows)
    const spare = this.spare.findIndex(found => found.partition === partition)
    if (spare >= 0) this.spare.splice(spare, 1)
  }
}
