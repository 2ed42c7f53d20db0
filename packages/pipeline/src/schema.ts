import type { Schema } from "effect"

/** A schema of records: what a topic carries. Avro derives from it. */
export type RecordSchema = Schema.Top & { readonly Type: object }
