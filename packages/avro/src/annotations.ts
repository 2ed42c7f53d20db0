/**
 * What an Effect Schema cannot say about its Avro form, as annotations: `Schema.Int.annotate(Avro.timestampMillis)`.
 * Several go onto one schema by several calls of `annotate`.
 */
export const TYPE = "headrace/avro/type"
export const NAME = "headrace/avro/name"
export const ALIASES = "headrace/avro/aliases"
export const DEFAULT = "headrace/avro/default"

const typed = (type: string) => ({ [TYPE]: type })

/** For a number: 32 bits instead of the 64 of `Schema.Int`. */
export const int = typed("int")
/** For a number: 32-bit floating point instead of the 64 of `Schema.Finite`. */
export const float = typed("float")
/** For a number without `Schema.Int`: a long all the same. */
export const long = typed("long")
/** For a number of milliseconds since 1970: a long with the logical type timestamp-millis. */
export const timestampMillis = typed("timestamp-millis")
/** For literals: a plain string instead of an enum, so that writers may add values freely. */
export const string = typed("string")

/** The name of a record or enum, with its namespace if it has one: `Avro.name("com.acme.Payment")`. */
export const name = (full: string) => ({ [NAME]: full })
/** For a field: earlier names under which older writers wrote it. */
export const aliases = (...names: readonly string[]) => ({ [ALIASES]: names })
/** For a field: what readers get from writers that do not know it, as Avro's JSON says it. */
export const withDefault = (json: unknown) => ({ [DEFAULT]: json })
