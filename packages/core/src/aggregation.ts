import type { Aggregate } from "./aggregate.ts"
import { ByteWriter } from "./bytes.ts"
import type { ValueCodec } from "./codec.ts"
import { type Keyed, writeKey } from "./key.ts"
import { FIRST_NUMBER, type Group, type GroupLayout, type Rows } from "./state/group.ts"
import type { GroupedState } from "./state/grouped.ts"

const COUNT = 0
const SUM = 1
const MIN = 2
const MAX = 3
const AVERAGE = 4
const DISTINCT = 5
const CUSTOM = 6
const CODES = { count: COUNT, sum: SUM, min: MIN, max: MAX, average: AVERAGE, distinctCount: DISTINCT, custom: CUSTOM }

type Custom = Extract<Aggregate, { readonly kind: "custom" }>
type Of = (record: object) => unknown

/**
 * Several aggregates compiled into column operations: one pass for each record, nothing allocated. Numbers are
 * doubles: sums of safe integers are exact as long as they stay within 2^53 (so money is in integer cents); other
 * sums round, in the order of the log, hence the same on every run. NaN makes sum, min, max and average NaN.
 * Distinct count is exact and keeps each value once for each key and window; numbers and strings are told apart.
 */
export class Aggregation {
  readonly layout: GroupLayout
  private readonly names: readonly string[]
  private readonly codes: Int32Array
  /** Where each aggregate lives: a column of the row, an index of `values` for custom ones. */
  private readonly places: Int32Array
  /** For distinct counts the index of their set. */
  private readonly setOf: Int32Array
  private readonly inputs: readonly Of[]
  private readonly customs: readonly Custom[]
  private readonly element = new ByteWriter(64)

  constructor(aggregates: Readonly<Record<string, Aggregate>>) {
    const entries = Object.entries(aggregates)
    const kinds = entries.map(([, aggregate]) => aggregate)
    this.names = entries.map(([name]) => name)
    this.codes = Int32Array.from(kinds, ({ kind }) => CODES[kind])
    this.inputs = kinds.map(aggregate => ("of" in aggregate ? (aggregate.of as Of) : nothing))
    this.customs = kinds.filter(aggregate => aggregate.kind === "custom")
    const widths = kinds.map(({ kind }) => (kind === "custom" ? 0 : kind === "average" ? 2 : 1))
    this.places = Int32Array.from(kinds, ({ kind }, i) =>
      kind === "custom" ? countOf(kinds.slice(0, i), "custom") : FIRST_NUMBER + sum(widths.slice(0, i))
    )
    this.setOf = Int32Array.from(kinds, (_, i) => countOf(kinds.slice(0, i), "distinctCount"))
    const codecs: readonly ValueCodec<unknown>[] = this.customs.map(({ codec }) => codec)
    this.layout = { numbers: sum(widths), codecs, sets: countOf(kinds, "distinctCount") }
  }

  /** Prepares a new slot, whose numbers are zeros. */
  init({ table, values }: Rows, slot: number): void {
    const base = slot * table.stride
    for (let i = 0; i < this.codes.length; i++) {
      const code = this.codes[i]!
      const place = this.places[i]!
      if (code === MIN) table.rows[base + place] = Number.POSITIVE_INFINITY
      else if (code === MAX) table.rows[base + place] = Number.NEGATIVE_INFINITY
      else if (code === CUSTOM) values[place]![slot] = this.customs[place]!.init()
    }
  }

  /** Adds a record to a slot of the young. */
  add(state: GroupedState, group: Group, slot: number, record: object, key: Keyed): void {
    const { codes, places, inputs } = this
    const { rows, stride } = group.young.table
    const base = slot * stride
    for (let i = 0; i < codes.length; i++) {
      const at = base + places[i]!
      switch (codes[i]) {
        case COUNT:
          rows[at]! += 1
          break
        case SUM:
          rows[at]! += inputs[i]!(record) as number
          break
        case MIN:
          rows[at] = Math.min(rows[at]!, inputs[i]!(record) as number)
          break
        case MAX:
          rows[at] = Math.max(rows[at]!, inputs[i]!(record) as number)
          break
        case AVERAGE:
          rows[at]! += inputs[i]!(record) as number
          rows[at + 1]! += 1
          break
        case DISTINCT:
          if (this.isNew(state, group, i, record, key)) rows[at]! += 1
          break
        default:
          this.addCustom(group.young, places[i]!, slot, record)
      }
    }
  }

  /** Puts the results of a slot into `result`, in the order of the aggregates. */
  results(rows: Rows, slot: number, result: Record<string, unknown>): void {
    for (let i = 0; i < this.names.length; i++) result[this.names[i]!] = this.result(rows, slot, i)
  }

  private result({ table, values }: Rows, slot: number, i: number): unknown {
    const place = this.places[i]!
    if (this.codes[i] === CUSTOM) return this.customs[place]!.result(values[place]![slot] as never)
    const at = slot * table.stride + place
    const value = table.rows[at]!
    return this.codes[i] === AVERAGE ? value / table.rows[at + 1]! : value
  }

  private addCustom(rows: Rows, place: number, slot: number, record: object): void {
    const values = rows.values[place]!
    values[slot] = this.customs[place]!.add(values[slot] as never, record as never)
  }

  /** An element is `key length · key · kind of value · value`. */
  private isNew(state: GroupedState, group: Group, i: number, record: object, key: Keyed): boolean {
    const element = this.element
    element.clear()
    element.varint(key.end - key.start)
    element.copy(key.bytes, key.start, key.end)
    const kindAt = element.length
    element.u8(0)
    element.bytes[kindAt] = writeKey(element, this.inputs[i]!(record) as string | number)
    return state.addTo(group, this.setOf[i]!, element.bytes, 0, element.length)
  }
}

const nothing: Of = () => undefined
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
const countOf = (aggregates: readonly Aggregate[], kind: Aggregate["kind"]): number =>
  aggregates.filter(aggregate => aggregate.kind === kind).length
