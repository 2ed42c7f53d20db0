import type { ValueCodec } from "../codec.ts"
import { ValueReader, writeNumber } from "./number.ts"

/** A record with its event time, as operators keep it. */
export interface Stamped {
  readonly timestamp: number
  readonly record: object
}

/** `time · record`. */
export const stampedCodec = (record: ValueCodec<unknown>): ValueCodec<Stamped> => {
  const reader = new ValueReader()
  return {
    write: (kept, out) => {
      writeNumber(out, kept.timestamp)
      record.write(kept.record, out)
    },
    read: (bytes, start, end) => {
      reader.reset(bytes.subarray(start, end))
      const timestamp = reader.number()
      return { timestamp, record: record.read(bytes, start + reader.at, end) as object }
    }
  }
}
