import { type Aggregate, widthOf } from "./aggregate.ts"
import { ByteWriter } from "./bytes.ts"
import type { ValueCodec } from "./codec.ts"
import type { GroupLayout } from "./state/group.ts"
import { ValueReader, writeNumber } from "./state/number.ts"

const COUNT = 0
const SUM = 1
const MIN = 2
const MAX = 3
const AVERAGE = 4
const DEVIATION = 5
const DISTINCT = 6
const CUSTOM = 7
const SAMPLE = 8
const CODES: Readonly<Record<Exclude<Aggregate["kind"], "collect">, number>> = {
  count: COUNT,
  sum: SUM,
  min: MIN,
  max: MAX,
  average: AVERAGE,
  standardDeviation: DEVIATION,
  sampleDeviation: SAMPLE,
  distinctCount: DISTINCT,
  custom: CUSTOM
}

type Custom = Extract<Aggregate, { readonly kind: "custom" }>
type Of = (record: object) => unknown

/** A row of numbers somewhere: a column store's, or an array of its own. */
export type Numbers = Float64Array | number[]

/** What some events of a window come to: how many there are, and their row as `Aggregation.write` has it. */
export interface Part {
  readonly size: number
  readonly row: Uint8Array
}

/** The distinct values of the key and window that stand in turn. */
export interface Distinct {
  /** Adds a value to a set; false if it was there. */
  readonly isNew: (set: number, value: string | number) => boolean
}

/**
 * Several aggregates compiled into operations on rows of numbers: one pass for each record, nothing allocated. Numbers are
 * doubles: sums of safe integers are exact as long as they stay within 2^53 (so money is in integer cents); other
 * sums round, in the order of the log, hence the same on every run. NaN makes sum, min, max and average NaN.
 * Distinct count is exact and keeps each value once for each key and window; numbers and strings are told apart.
 * Standard deviation (of the population, or of a sample, which is NaN of one value) is by Welford's method; parts are
 * merged by Chan's.
 *
 * A row's numbers stand from `base`; what is not a number stands in `values`, by aggregate and slot.
 */
export class Aggregation {
  readonly layout: GroupLayout
  private readonly names: readonly string[]
  private readonly codes: Int32Array
  /** Where each aggregate lives: a number of the row, an index of `values` for custom ones. */
  private readonly places: Int32Array
  /** For distinct counts the index of their set. */
  private readonly setOf: Int32Array
  private readonly inputs: readonly Of[]
  private readonly customs: readonly Custom[]
  /** Of parts: what has been read of one. */
  private readonly part: { readonly numbers: number[]; readonly values: unknown[][] } | undefined

  /** `ofParts`: records are `Part`s, written by another one of the same aggregates. Not for distinct counts: make sets of them. */
  constructor(aggregates: Readonly<Record<string, Aggregate>>, ofParts = false) {
    const entries = Object.entries(aggregates)
    const kinds = entries.map(([name, aggregate]) => foldable(name, aggregate))
    this.names = entries.map(([name]) => name)
    this.codes = Int32Array.from(kinds, ({ kind }) => CODES[kind])
    this.inputs = kinds.map(aggregate => ("of" in aggregate ? (aggregate.of as Of) : nothing))
    this.customs = kinds.filter(aggregate => aggregate.kind === "custom")
    const widths = kinds.map(({ kind }) => widthOf(kind))
    this.places = Int32Array.from(kinds, ({ kind }, i) =>
      kind === "custom" ? countOf(kinds.slice(0, i), "custom") : sum(widths.slice(0, i))
    )
    this.setOf = Int32Array.from(kinds, (_, i) => countOf(kinds.slice(0, i), "distinctCount"))
    const codecs: readonly ValueCodec<unknown>[] = this.customs.map(({ codec }) => codec)
    this.layout = { numbers: sum(widths), codecs, sets: countOf(kinds, "distinctCount") }
    this.part = ofParts ? { numbers: [], values: codecs.map(() => [undefined]) } : undefined
  }

  /** Makes a row an empty one, whatever it was. */
  begin(numbers: Numbers, base: number, values: unknown[][], slot: number): void {
    for (let i = 0; i < this.layout.numbers; i++) numbers[base + i] = 0
    this.init(numbers, base, values, slot)
  }

  /** Prepares a new row, whose numbers are zeros. */
  init(numbers: Numbers, base: number, values: unknown[][], slot: number): void {
    for (let i = 0; i < this.codes.length; i++) {
      const code = this.codes[i]!
      const place = this.places[i]!
      if (code === MIN) numbers[base + place] = Number.POSITIVE_INFINITY
      else if (code === MAX) numbers[base + place] = Number.NEGATIVE_INFINITY
      else if (code === CUSTOM) values[place]![slot] = this.customs[place]!.init()
    }
  }

  /** Adds a record to a row. */
  add(
    numbers: Numbers,
    base: number,
    values: unknown[][],
    slot: number,
    record: object,
    timestamp: number,
    distinct: Distinct
  ): void {
    const { codes, places, inputs } = this
    if (this.part !== undefined) return this.addPart(numbers, base, values, slot, record as Part)
    for (let i = 0; i < codes.length; i++) {
      const at = base + places[i]!
      switch (codes[i]) {
        case COUNT:
          numbers[at]! += 1
          break
        case SUM:
          numbers[at]! += inputs[i]!(record) as number
          break
        case MIN:
          numbers[at] = Math.min(numbers[at]!, inputs[i]!(record) as number)
          break
        case MAX:
          numbers[at] = Math.max(numbers[at]!, inputs[i]!(record) as number)
          break
        case AVERAGE:
          numbers[at]! += inputs[i]!(record) as number
          numbers[at + 1]! += 1
          break
        case DEVIATION:
        case SAMPLE:
          addDeviation(numbers, at, inputs[i]!(record) as number)
          break
        case DISTINCT:
          numbers[at]! += this.isNew(i, record, distinct) ? 1 : 0
          break
        default:
          this.addCustom(values[places[i]!]!, places[i]!, slot, record, timestamp)
      }
    }
  }

  /** Adds a row to another one, whose events are the earlier ones. Not for distinct counts: their sets are elsewhere. */
  merge(
    into: Numbers,
    base: number,
    values: unknown[][],
    slot: number,
    from: Numbers,
    fromBase: number,
    fromValues: unknown[][],
    fromSlot: number
  ): void {
    const { codes, places } = this
    for (let i = 0; i < codes.length; i++) {
      const at = base + places[i]!
      const other = fromBase + places[i]!
      switch (codes[i]) {
        case COUNT:
        case SUM:
        case DISTINCT:
          into[at]! += from[other]!
          break
        case MIN:
          into[at] = Math.min(into[at]!, from[other]!)
          break
        case MAX:
          into[at] = Math.max(into[at]!, from[other]!)
          break
        case AVERAGE:
          into[at]! += from[other]!
          into[at + 1]! += from[other + 1]!
          break
        case DEVIATION:
        case SAMPLE:
          mergeDeviation(into, at, from, other)
          break
        default: {
          const place = places[i]!
          const column = values[place]!
          column[slot] = this.mergeCustom(place, column[slot], fromValues[place]![fromSlot])
        }
      }
    }
  }

  /** Writes a row: its numbers, then what is not a number, each with its length. */
  write(numbers: Numbers, base: number, values: unknown[][], slot: number, out: ByteWriter): void {
    for (let i = 0; i < this.layout.numbers; i++) writeNumber(out, numbers[base + i]!)
    this.layout.codecs.forEach((codec, i) => {
      const start = out.open()
      codec.write(values[i]![slot], out)
      out.close(start)
    })
  }

  /** Reads what `write` wrote. */
  read(row: Uint8Array, numbers: Numbers, base: number, values: unknown[][], slot: number): void {
    reader.reset(row)
    for (let i = 0; i < this.layout.numbers; i++) numbers[base + i] = reader.number()
    this.layout.codecs.forEach((codec, i) => {
      const length = reader.varint()
      const at = reader.skip(length)
      values[i]![slot] = codec.read(row, at, at + length)
    })
    reader.end()
  }

  /** Puts the results of a row into `result`, in the order of the aggregates. */
  results(numbers: Numbers, base: number, values: unknown[][], slot: number, result: Record<string, unknown>): void {
    for (let i = 0; i < this.names.length; i++) result[this.names[i]!] = this.result(numbers, base, values, slot, i)
  }

  private result(numbers: Numbers, base: number, values: unknown[][], slot: number, i: number): unknown {
    const place = this.places[i]!
    const code = this.codes[i]
    if (code === CUSTOM) return this.customs[place]!.result(values[place]![slot] as never)
    const value = numbers[base + place]!
    if (code === AVERAGE) return value / numbers[base + place + 1]!
    if (code === DEVIATION) return Math.sqrt(numbers[base + place + 2]! / value)
    return code === SAMPLE ? Math.sqrt(numbers[base + place + 2]! / (value - 1)) : value
  }

  private addPart(numbers: Numbers, base: number, values: unknown[][], slot: number, { row }: Part): void {
    const part = this.part!
    this.read(row, part.numbers, 0, part.values, 0)
    this.merge(numbers, base, values, slot, part.numbers, 0, part.values, 0)
  }

  private isNew(i: number, record: object, distinct: Distinct): boolean {
    const value = this.inputs[i]!(record) as string | number | undefined
    return value !== undefined && distinct.isNew(this.setOf[i]!, value)
  }

  private addCustom(column: unknown[], place: number, slot: number, record: object, timestamp: number): void {
    column[slot] = this.customs[place]!.add(column[slot] as never, record as never, timestamp)
  }

  /** The second part goes on to be used: what hands it on as the sum is given a copy, since the sum is changed in place. */
  private mergeCustom(place: number, a: unknown, b: unknown): unknown {
    const { merge, codec } = this.customs[place]!
    if (merge === undefined) throw new Error("An aggregate without merge stands where parts of windows become one")
    const merged = merge(a as never, b as never)
    return merged === b && typeof b === "object" && b !== null ? copyOf(codec, b) : merged
  }
}

/** Number, mean, and the sum of squared differences from it. */
const addDeviation = (numbers: Numbers, at: number, value: number): void => {
  const count = numbers[at]! + 1
  const before = value - numbers[at + 1]!
  const mean = numbers[at + 1]! + before / count
  numbers[at] = count
  numbers[at + 1] = mean
  numbers[at + 2]! += before * (value - mean)
}

const mergeDeviation = (into: Numbers, at: number, from: Numbers, other: number): void => {
  const [a, b] = [into[at]!, from[other]!]
  const count = a + b
  if (b === 0) return
  if (a === 0) {
    for (let i = 0; i < 3; i++) into[at + i] = from[other + i]!
    return
  }
  const apart = from[other + 1]! - into[at + 1]!
  into[at] = count
  into[at + 1]! += (apart * b) / count
  into[at + 2]! += from[other + 2]! + (apart * apart * a * b) / count
}

const scratch = new ByteWriter(64)
const reader = new ValueReader()

const copyOf = (codec: ValueCodec<unknown>, value: unknown): unknown => {
  scratch.clear()
  codec.write(value, scratch)
  return codec.read(scratch.written().slice(), 0, scratch.length)
}

const foldable = (name: string, aggregate: Aggregate): Exclude<Aggregate, { kind: "collect" }> => {
  if (aggregate.kind === "collect") throw new Error(`"${name}" collects: its window has to keep elements`)
  return aggregate
}

const nothing: Of = () => undefined
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
const countOf = (aggregates: readonly Aggregate[], kind: Aggregate["kind"]): number =>
  aggregates.filter(aggregate => aggregate.kind === kind).length
