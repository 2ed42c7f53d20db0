import type { Aggregate } from "../../aggregate.ts"
import { Aggregation } from "../../aggregation.ts"
import type { StoredCodec, ValueCodec } from "../../codec.ts"
import { ValueReader } from "../../state/number.ts"
import { scalarCodec } from "../../state/scalar.ts"
import type { Shape } from "../../state/shape.ts"
import type { Contents } from "./contents.ts"
import { Elements, type ElementsOptions, type Finish } from "./elements.ts"
import type { Evictor } from "./evictor.ts"
import { Folded, NO_SETS, shapeOfCustoms, withoutSets } from "./folded.ts"
import { begun, Given } from "./given.ts"
import { listCodec } from "./listCodec.ts"

type Aggregates = Readonly<Record<string, Aggregate>>
type Of = (record: object) => unknown

export interface AggregatedOptions {
  readonly id: string
  readonly aggregates: Aggregates
  readonly evictor?: Evictor | undefined
  /** How a whole record becomes bytes: aggregates of one's own, and evictors of records, need it where elements are kept. */
  readonly element?: StoredCodec | undefined
  /** What comes in are the parts that a `Combiner` hands on. Not with evictors or lists. */
  readonly ofParts?: boolean
  /** Results that take another one's place come with that one taken back, as changes. */
  readonly retracts?: boolean
}

/**
 * What windows of these aggregates hold: what the aggregates make of the events, or the events themselves where an evictor
 * or a list has to see all of them. Then no more of each event is kept than the aggregates take of it.
 */
export const aggregated = (options: AggregatedOptions): Contents => {
  const { id, aggregates, evictor, element } = options
  const collects = Object.values(aggregates).some(({ kind }) => kind === "collect")
  if (evictor === undefined && !collects) return new Folded(options)
  if (options.ofParts) throw new Error(`${id} keeps elements: it takes no parts`)
  const retracts = options.retracts === true
  if (element !== undefined)
    return new Elements({
      ...{ id, take: record => record, codec: element, shape: element.shape, evictor },
      ...folding(aggregates, retracts)
    })
  const inputs = Object.entries(aggregates).map(([name, one]) => inputOf(name, one))
  const take = (record: object): object => inputs.map(({ of }) => of(record))
  const codec = rowCodec(inputs.map(one => one.codec))
  const shape: Shape = { tuple: inputs.map(one => one.shape) }
  return new Elements({ id, take, codec, shape, evictor, ...folding(ofTaken(aggregates), retracts) })
}

/** What they do, as a person reads it. */
export const showAggregates = (aggregates: Aggregates): string =>
  Object.entries(aggregates)
    .map(([name, { kind }]) => `${name}: ${kind}`)
    .join(", ")

interface Taken {
  readonly of: Of
  readonly codec: ValueCodec<unknown>
  readonly shape: Shape
}

/** What is kept of an event for an aggregate. */
const inputOf = (name: string, one: Aggregate): Taken => {
  if (one.kind === "custom")
    throw new Error(`"${name}" is an aggregate of its own in a window that keeps elements: it needs their schema`)
  if (one.kind === "count") return { of: () => undefined, codec: scalarCodec, shape: "any" }
  if (one.kind === "collect") return { of: one.of as Of, codec: one.codec, shape: one.codec.shape ?? "any" }
  return { of: one.of as Of, codec: scalarCodec, shape: "any" }
}

/** The same aggregates over what was taken for them: each finds its own in its place. */
const ofTaken = (aggregates: Aggregates): Aggregates =>
  Object.fromEntries(
    Object.entries(aggregates).map(([name, one], i) => [
      name,
      "of" in one ? ({ ...one, of: (taken: readonly unknown[]) => taken[i] } as Aggregate) : one
    ])
  )

/** Folds all elements at each firing. */
const folding = (aggregates: Aggregates, retracts: boolean): Pick<ElementsOptions, "finish" | "withdraw" | "given"> => {
  const stored = withoutLists(withoutSets(aggregates))
  const aggregation = new Aggregation(stored)
  const given = retracts ? new Given(aggregation) : undefined
  const { numbers, codecs } = aggregation.layout
  const finish: Finish = (key, window, elements, emit) => {
    const row = { numbers: new Array<number>(numbers).fill(0), values: codecs.map((): unknown[] => [undefined]) }
    aggregation.init(row.numbers, 0, row.values, 0)
    for (const { value } of elements)
      aggregation.add(row.numbers, 0, row.values, 0, value.record, value.timestamp, NO_SETS)
    if (given !== undefined) return given.fire(key, window, row, emit)
    const result = begun(key, window)
    aggregation.results(row.numbers, 0, row.values, 0, result)
    emit(result)
  }
  if (given === undefined) return { finish }
  return { finish, withdraw: (key, window, emit) => given.withdraw(key, window, emit), given: shapeOfCustoms(stored) }
}

/** Lists are made at a firing, of what is kept anyway: stored is only what has been given out and may be taken back. */
const withoutLists = (aggregates: Aggregates): Aggregates =>
  Object.fromEntries(
    Object.entries(aggregates).map(([name, one]) => [name, one.kind === "collect" ? listOf(one) : one])
  )

const listOf = ({ of, codec }: Extract<Aggregate, { kind: "collect" }>): Aggregate => {
  const extract = of as Of
  const list = listCodec(codec)
  return {
    kind: "custom",
    codec: {
      shape: { list: codec.shape ?? "any" },
      write: (values, out) => list.write(values as readonly unknown[], out),
      read: list.read
    },
    init: () => [],
    add: (list: unknown[], record: object) => {
      list.push(extract(record))
      return list
    },
    result: (list: unknown[]) => list
  }
}

/** Values side by side, each with its length. */
const rowCodec = (codecs: readonly ValueCodec<unknown>[]): ValueCodec<unknown> => {
  const reader = new ValueReader()
  return {
    write: (row, out) =>
      codecs.forEach((codec, i) => {
        const start = out.open()
        codec.write((row as readonly unknown[])[i], out)
        out.close(start)
      }),
    read: (bytes, start, end) => {
      const own = bytes.subarray(start, end)
      reader.reset(own)
      const row = codecs.map(codec => {
        const length = reader.varint()
        const at = reader.skip(length)
        return codec.read(own, at, at + length)
      })
      reader.end()
      return row
    }
  }
}
