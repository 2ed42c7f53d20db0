import type { StateSize } from "@headrace/core"

/** How much state an operator has of a partition. */
export interface StateRow extends StateSize {
  /** The plan's source topic of this number. */
  readonly source: number
  readonly partition: number
  /** The plan's node of this number. */
  readonly node: number
}

const COLUMNS = ["source", "partition", "node", "keys", "bytes", "spilledKeys", "spilledBytes"] as const
/** Partitions times operators of one lane. What is beyond is added up in the last row. */
const MAX_ROWS = 2048
/** In `partition`: of several. */
export const MANY = -1

/** State sizes in shared memory: as many rows as there are operators and partitions, and before them their number. */
export class StateSizes {
  static readonly LENGTH: number = 1 + MAX_ROWS * COLUMNS.length
  private readonly values: Float64Array

  /** `values`: LENGTH numbers. */
  constructor(values: Float64Array) {
    this.values = values
  }

  write(rows: readonly StateRow[]): void {
    const kept = rows.length <= MAX_ROWS ? rows : [...rows.slice(0, MAX_ROWS - 1), together(rows.slice(MAX_ROWS - 1))]
    kept.forEach((row, i) => {
      COLUMNS.forEach((column, j) => {
        this.values[1 + i * COLUMNS.length + j] = row[column]
      })
    })
    this.values[0] = kept.length
  }

  read(): readonly StateRow[] {
    return Array.from({ length: this.values[0]! }, (_, i) => {
      const cells = COLUMNS.map((column, j) => [column, this.values[1 + i * COLUMNS.length + j]!] as const)
      return Object.fromEntries(cells) as unknown as StateRow
    })
  }
}

const together = (rows: readonly StateRow[]): StateRow => {
  const sum = { ...rows[0]!, partition: MANY }
  for (const row of rows.slice(1)) {
    sum.keys += row.keys
    sum.bytes += row.bytes
    sum.spilledKeys += row.spilledKeys
    sum.spilledBytes += row.spilledBytes
  }
  return sum
}
