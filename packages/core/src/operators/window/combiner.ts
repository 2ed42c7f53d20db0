import type { Aggregate } from "../../aggregate.ts"
import { Aggregation, type Part } from "../../aggregation.ts"
import { ByteWriter } from "../../bytes.ts"
import type { Input } from "../../operator.ts"
import { Accumulator } from "./accumulator.ts"
import { NO_SETS, withoutSets } from "./folded.ts"
import { type Grid, type GridAssigner, gridOf } from "./grid.ts"

/** What a `Combiner` is made of: the assigner and aggregates of the window that takes its parts. */
export interface CombinerOptions {
  readonly assigner: GridAssigner
  /** Custom ones need a `merge`. */
  readonly aggregates: Readonly<Record<string, Aggregate>>
  /** Gets the parts. */
  readonly output: Pick<Input, "next">
}

/** A pane's events so far. */
interface Open {
  readonly row: Accumulator
  size: number
  timestamp: number
}

/** An event that stands in no window counts, and adds nothing. */
const NOTHING: Part = { size: 1, row: new Uint8Array(0) }

/**
 * The first of two phases of windows over all keys: folds events by pane, and hands on one part for each, in the order of
 * time, whenever it is told to. A part has the greatest time of its events, so that what takes parts (an `Aggregation` of
 * parts) assigns it to the same windows. It has no event time, and no state between two flushes.
 */
export class Combiner {
  private readonly grid: Grid
  private readonly aggregation: Aggregation
  private readonly output: Pick<Input, "next">
  private readonly open = new Map<number, Open>()
  private readonly bytes = new ByteWriter(64)

  constructor({ assigner, aggregates, output }: CombinerOptions) {
    this.grid = gridOf(assigner)
    this.aggregation = new Aggregation(withoutSets(aggregates))
    this.output = output
  }

  next(record: object, timestamp: number): void {
    if (!(Math.abs(timestamp) <= Number.MAX_SAFE_INTEGER))
      throw new RangeError(`A window over all keys: an event's timestamp is not a time in ms (${timestamp})`)
    const number = this.grid.paneOf(timestamp)
    if (Number.isNaN(number)) return this.output.next(NOTHING, timestamp)
    const pane = this.open.get(number) ?? this.begin(number, timestamp)
    pane.size++
    if (timestamp > pane.timestamp) pane.timestamp = timestamp
    const { numbers, values } = pane.row
    this.aggregation.add(numbers, 0, values, 0, record, timestamp, NO_SETS)
  }

  flush(): void {
    if (this.open.size === 0) return
    for (const [, { row, size, timestamp }] of [...this.open].sort(([a], [b]) => a - b)) {
      this.bytes.clear()
      this.aggregation.write(row.numbers, 0, row.values, 0, this.bytes)
      this.output.next({ size, row: this.bytes.written().slice() } satisfies Part, timestamp)
    }
    this.open.clear()
  }

  private begin(number: number, timestamp: number): Open {
    const pane = { row: new Accumulator(this.aggregation), size: 0, timestamp }
    pane.row.clear()
    this.open.set(number, pane)
    return pane
  }
}
