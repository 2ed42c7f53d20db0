import type { Aggregation } from "../../aggregation.ts"
import { FIRST_NUMBER, type Rows } from "../../state/group.ts"

/** A row of aggregates, wherever it is: its numbers stand from `base`, what is not a number in `values`. */
export interface Place {
  readonly numbers: Float64Array | number[]
  readonly base: number
  readonly values: unknown[][]
  readonly slot: number
}

/** A range of bytes. */
export interface Bytes {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** A row of its own, to merge others into. */
export class Accumulator implements Place {
  readonly numbers: number[]
  readonly base = 0
  readonly values: unknown[][]
  readonly slot = 0
  isEmpty = true
  private readonly aggregation: Aggregation

  constructor(aggregation: Aggregation) {
    const { numbers, codecs } = aggregation.layout
    this.aggregation = aggregation
    this.numbers = new Array(numbers).fill(0)
    this.values = codecs.map(() => [undefined])
  }

  clear(): void {
    this.isEmpty = true
    this.aggregation.begin(this.numbers, 0, this.values, 0)
  }

  addRow(rows: Rows, slot: number): void {
    this.addNumbers(rows.table.rows, slot * rows.table.stride + FIRST_NUMBER, rows.values, slot)
  }

  add(other: Accumulator): void {
    if (!other.isEmpty) this.addNumbers(other.numbers, 0, other.values, 0)
  }

  addNumbers(numbers: Float64Array | number[], base: number, values: unknown[][], slot: number): void {
    this.isEmpty = false
    this.aggregation.merge(this.numbers, 0, this.values, 0, numbers, base, values, slot)
  }
}
