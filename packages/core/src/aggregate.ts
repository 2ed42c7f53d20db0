import type { StoredCodec } from "./codec.ts"

/** An aggregate over the records of a window, as the builder describes it and the window operator compiles it. */
export type Aggregate =
  | { readonly kind: "count" }
  | { readonly kind: "sum" | "min" | "max" | "average"; readonly of: (record: never) => number }
  | { readonly kind: "distinctCount"; readonly of: (record: never) => string | number }
  | {
      readonly kind: "custom"
      readonly codec: StoredCodec
      readonly init: () => unknown
      readonly add: (state: never, record: never) => unknown
      readonly result: (state: never) => unknown
    }
