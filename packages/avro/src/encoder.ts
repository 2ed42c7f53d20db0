import type { ByteWriter, RecordDecoder, RecordEncoder } from "@headrace/core"
import { FRAME } from "./decoder.ts"
import { bodyCode, sourceOfWriters } from "./emit.ts"
import { typeOf } from "./evolution.ts"
import { encodeError } from "./misfit.ts"
import type { AvroJson, RecordType } from "./schema.ts"
import { transcoder } from "./transcode.ts"

/** Appends one record's body. Throws a Misfit, and may then have written a part of it. */
export type Body = (record: object, out: ByteWriter) => void

/**
 * Compiles an encoder that frames its records with `schemaId`. Throws DecodeError Incompatible where the schema is no
 * Avro record. Its own `encode` throws EncodeError with the field's path, and then leaves `out` as it was.
 */
export const makeEncoder = (schema: AvroJson, schemaId: number): RecordEncoder => {
  const type = typeOf(schema)
  const body = compileBody(type)
  const encode = framed(type.name, schemaId, body)
  return {
    encode,
    from: (decoder: RecordDecoder, names: readonly string[]): RecordEncoder => {
      const specialised = framed(type.name, schemaId, transcoder(type, body, decoder, names))
      return { encode: specialised, from: () => ({ encode: specialised, from: neverAgain }) }
    }
  }
}

const neverAgain = (): never => {
  throw new TypeError("this encoder is already specialised for a decoder; call from on the first one")
}

const framed = (name: string, schemaId: number, body: Body): ((record: object, out: ByteWriter) => void) => {
  const [a, b, c, d] = [schemaId >>> 24, (schemaId >>> 16) & 255, (schemaId >>> 8) & 255, schemaId & 255]
  return (record, out) => {
    const start = out.length
    out.reserve(FRAME)
    const bytes = out.bytes
    bytes[start] = 0
    bytes[start + 1] = a
    bytes[start + 2] = b
    bytes[start + 3] = c
    bytes[start + 4] = d
    out.length = start + FRAME
    try {
      body(record, out)
    } catch (error) {
      out.length = start
      throw encodeError(name, error)
    }
  }
}

/** Compiles the writing of whole records. */
const compileBody = (type: RecordType): Body => {
  const source = sourceOfWriters()
  source.add(...bodyCode(type.fields, source))
  return source.run<Body>()
}
