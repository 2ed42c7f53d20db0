import type { RecordDecoder } from "@headrace/core"
import type { Body } from "./encoder.ts"
import type { RecordType } from "./schema.ts"

export const transcoder = (_type: RecordType, body: Body, _decoder: RecordDecoder, _names: readonly string[]): Body =>
  body
