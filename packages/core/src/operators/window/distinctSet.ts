import type { Aggregate } from "../../aggregate.ts"
import { ByteWriter } from "../../bytes.ts"
import type { StoredCodec } from "../../codec.ts"
import { ValueReader } from "../../state/number.ts"
import { scalarCodec } from "../../state/scalar.ts"

type Values = ReadonlySet<string | number>

const scratch = new ByteWriter(64)
const reader = new ValueReader()

/** `number · (length · value)…`, in the order in which they came. */
const codec: StoredCodec = {
  write: (value, out) => {
    const values = value as Values
    out.varint(values.size)
    for (const one of values) {
      scratch.clear()
      scalarCodec.write(one, scratch)
      out.varint(scratch.length)
      out.copy(scratch.bytes, 0, scratch.length)
    }
  },
  read: (bytes, start, end) => {
    const own = bytes.subarray(start, end)
    reader.reset(own)
    const values = Array.from({ length: reader.varint() }, () => {
      const length = reader.varint()
      const at = reader.skip(length)
      return scalarCodec.read(own, at, at + length)
    })
    reader.end()
    return new Set(values)
  }
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
