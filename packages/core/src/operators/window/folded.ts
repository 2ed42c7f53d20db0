import type { Aggregate } from "../../aggregate.ts"
import { Aggregation, type Distinct } from "../../aggregation.ts"
import type { Key } from "../../key.ts"
import { Cells } from "../../state/cells.ts"
import type { Shape } from "../../state/shape.ts"
import { keyedPart } from "../eventTime.ts"
import { FIRST_STATE } from "../processLayout.ts"
import type { Contents } from "./contents.ts"
import { distinctSet } from "./distinctSet.ts"
import { begun, Given } from "./given.ts"
import { type KeyWindow, windowCodec } from "./window.ts"

/** Sets of distinct values are values of their windows here. */
export const NO_SETS: Distinct = { isNew: () => false }

export interface FoldedOptions {
  readonly id: string
  readonly aggregates: Readonly<Record<string, Aggregate>>
  readonly ofParts?: boolean
  readonly retracts?: boolean
}

/** Windows that keep no events, only what their aggregates make of them. */
export class Folded implements Contents {
  readonly windows: Cells<KeyWindow>
  readonly parts
  private readonly aggregation: Aggregation
  private readonly given: Given | undefined

  constructor({ id, aggregates, ofParts, retracts }: FoldedOptions) {
    this.aggregation = new Aggregation(withoutSets(aggregates), ofParts)
    this.given = retracts ? new Given(this.aggregation) : undefined
    const { numbers, codecs } = this.aggregation.layout
    const codec = windowCodec(numbers, codecs, retracts)
    this.windows = new Cells<KeyWindow>({ id, handle: FIRST_STATE, codec, timed: true })
    this.parts = [keyedPart("windows", "map", true, this.windows, shapeOfCustoms(withoutSets(aggregates)))]
  }

  begin(window: KeyWindow): void {
    const { numbers, codecs } = this.aggregation.layout
    window.numbers = new Array(numbers).fill(0)
    if (codecs.length > 0) window.values = codecs.map(() => [undefined])
    window.size = 0
    this.aggregation.init(window.numbers, 0, window.values, 0)
  }

  arrive(): void {}

  include(window: KeyWindow, record: object, timestamp: number): void {
    window.size++
    this.aggregation.add(window.numbers, 0, window.values, 0, record, timestamp, NO_SETS)
  }

  merge(into: KeyWindow, from: readonly KeyWindow[]): void {
    into.given = from.flatMap(one => one.given)
    for (const one of from) {
      into.size += one.size
      this.aggregation.merge(into.numbers, 0, into.values, 0, one.numbers, 0, one.values, 0)
    }
  }

  /** What has been given out stands: the next result is of other events. */
  purge(_: Key, window: KeyWindow): void {
    window.given = []
    this.begin(window)
  }

  sweep(): void {}

  fire(key: Key, window: KeyWindow, emit: (record: object) => void): void {
    if (window.size === 0) return
    if (this.given !== undefined) return this.given.fire(key, window, window, emit)
    const result = begun(key, window)
    this.aggregation.results(window.numbers, 0, window.values, 0, result)
    emit(result)
  }
}

/** What windows keep beside numbers, by the names of the aggregates that are not made of those: `any` if there are none. */
export const shapeOfCustoms = (aggregates: Readonly<Record<string, Aggregate>>): Shape => {
  const fields = Object.entries(aggregates).flatMap(([name, one]) =>
    one.kind === "custom" ? [[name, { shape: one.codec.shape ?? "any" }] as const] : []
  )
  return fields.length === 0 ? "any" : { record: Object.fromEntries(fields) }
}

export const withoutSets = (aggregates: Readonly<Record<string, Aggregate>>): Readonly<Record<string, Aggregate>> =>
  Object.fromEntries(
    Object.entries(aggregates).map(([name, one]) => [name, one.kind === "distinctCount" ? distinctSet(one) : one])
  )
