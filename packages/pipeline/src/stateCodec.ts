import type { StoredCodec } from "@headrace/core"
import { Schema } from "effect"
import { type Draft, schemaAt } from "./draft.ts"
import { check } from "./error.ts"
import type { Migration } from "./migration.ts"
import { shapeOf } from "./shape.ts"

const utf8 = new TextEncoder()
const text = new TextDecoder("utf-8", { fatal: true })

/** Stores values of a schema as JSON. Dates, bigints, NaN and infinities survive, as the schema says how; -0 becomes 0. */
export const jsonCodec = <T>(
  schema: Schema.Codec<T, unknown>,
  migrations: readonly Migration<T>[] = []
): StoredCodec => {
  const json = Schema.toCodecJson(schema)
  const encode = Schema.encodeUnknownSync(json)
  const decode = Schema.decodeUnknownSync(json)
  return {
    write: (value, out) => {
      const bytes = utf8.encode(JSON.stringify(encode(value)))
      out.copy(bytes, 0, bytes.length)
    },
    read: (bytes, start, end) => decode(JSON.parse(text.decode(bytes.subarray(start, end)))),
    shape: shapeOf(schema),
    migrations: migrations.map(({ stored }) => stored)
  }
}

/** For the records of `draft` that the step `id` keeps. Throws PipelineError where nobody said their schema. */
export const keptCodec = (draft: Draft, id: string, what: string): StoredCodec => {
  const schema = schemaAt(draft) as Schema.Codec<unknown, unknown> | undefined
  check(
    schema !== undefined,
    () => `${id} keeps ${what}, and their schema is not known: say it with as(schema) before keyBy`
  )
  return jsonCodec(schema!)
}
