import type { Aggregate } from "../../aggregate.ts"
import type { StoredCodec } from "../../codec.ts"
import { scalarCodec } from "../../state/scalar.ts"
import { listCodec } from "./listCodec.ts"

type Values = ReadonlySet<string | number>

const inOrder = listCodec(scalarCodec)

/** In the order in which they came. */
const codec: StoredCodec = {
  shape: { list: "any" },
  write: (values, out) => inOrder.write([...(values as Values)], out),
  read: (bytes, start, end) => new Set(inOrder.read(bytes, start, end))
}

/** A distinct count whose set is a value of its window: written whole when it changed. */
export const distinctSet = ({ of }: Extract<Aggregate, { kind: "distinctCount" }>): Aggregate => {
  const extract = of as (record: object) => string | number | undefined
  return {
    kind: "custom",
    codec,
    init: () => new Set(),
    add: (values: Set<string | number>, record: object) => {
      const value = extract(record)
      return value === undefined ? values : values.add(value)
    },
    merge: (a: Values, b: Values) => new Set([...a, ...b]),
    result: (values: Values) => values.size
  }
}
