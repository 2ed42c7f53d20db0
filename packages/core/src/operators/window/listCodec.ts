import type { ValueCodec } from "../../codec.ts"
import { ValueReader } from "../../state/number.ts"

/** Values one after the other: `number · (length · value)…`. */
export const listCodec = (one: ValueCodec<unknown>): ValueCodec<readonly unknown[]> => {
  const reader = new ValueReader()
  return {
    write: (values, out) => {
      out.varint(values.length)
      for (const value of values) {
        const start = out.open()
        one.write(value, out)
        out.close(start)
      }
    },
    read: (bytes, start, end) => {
      const own = bytes.subarray(start, end)
      reader.reset(own)
      const values = Array.from({ length: reader.varint() }, () => {
        const length = reader.varint()
        const at = reader.skip(length)
        return one.read(own, at, at + length)
      })
      reader.end()
      return values
    }
  }
}
