import type { StoredCodec } from "./codec.ts"

/** An aggregate over the records of a window, as the builder describes it and the window operator compiles it. */
export type Aggregate =
  | { readonly kind: "count" }
  | { readonly kind: NumericKind; readonly of: (record: never) => number }
  /** What is undefined is no value. */
  | { readonly kind: "distinctCount"; readonly of: (record: never) => string | number | undefined }
  | {
      readonly kind: "custom"
      readonly codec: StoredCodec
      readonly init: () => unknown
      readonly add: (state: never, record: never, timestamp: number) => unknown
      /** Of two parts of one window, the one with the earlier events first. Sessions and panes need it. */
      readonly merge?: ((a: never, b: never) => unknown) | undefined
      readonly result: (state: never) => unknown
    }
  | {
      /** All values, in the order in which they came. Its windows keep their elements. */
      readonly kind: "collect"
      readonly of: (record: never) => unknown
      readonly codec: StoredCodec
    }

type NumericKind = "sum" | "min" | "max" | "average" | "standardDeviation" | "sampleDeviation"

/** How many numbers an aggregate keeps. */
export const widthOf = (kind: Aggregate["kind"]): number => WIDTHS[kind]

const WIDTHS: Readonly<Record<Aggregate["kind"], number>> = {
  count: 1,
  sum: 1,
  min: 1,
  max: 1,
  average: 2,
  standardDeviation: 3,
  sampleDeviation: 3,
  distinctCount: 1,
  custom: 0,
  collect: 0
}
