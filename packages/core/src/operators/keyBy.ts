import { ByteWriter } from "../bytes.ts"
import type { FieldSpan } from "../codec.ts"
import { type Key, type Keyed, STRING_KEY, writeKey } from "../key.ts"
import type { Input } from "../operator.ts"

/** Sets the current key to what `of` returns. Throws KeyError if that is no string, number or bigint. */
export const keyBy = (of: (record: never) => Key, key: Keyed, output: Input): Input => {
  const keyOf = of as (record: object) => Key
  const written = new ByteWriter(64)
  return {
    next: (record, timestamp) => {
      written.clear()
      key.kind = writeKey(written, keyOf(record))
      key.bytes = written.bytes
      key.start = 0
      key.end = written.length
      output.next(record, timestamp)
    },
    watermark: watermark => output.watermark(watermark)
  }
}

/**
 * Sets the current key to the bytes of a string field, as they stand in the arena: no string is made. `place.bytes`
 * is the arena in which the decoder stands on the current record. The key is the same as that of the string.
 */
export const keyByField = (
  span: FieldSpan,
  place: { readonly bytes: Uint8Array },
  key: Keyed,
  output: Input
): Input => ({
  next: (record, timestamp) => {
    key.kind = STRING_KEY
    key.bytes = place.bytes
    key.start = span.start()
    key.end = span.end()
    output.next(record, timestamp)
  },
  watermark: watermark => output.watermark(watermark)
})
