import { DecodeError, messageOf } from "@headrace/core"
import avsc from "avsc"
import { type AvroJson, parse, type RecordType } from "./schema.ts"

type AvscSchema = Parameters<typeof avsc.Type.forSchema>[0]

/** avsc's own idea of a schema: it knows every rule for names, symbols and defaults. */
const avscType = (json: AvroJson): avsc.Type => avsc.Type.forSchema(json as AvscSchema, { noAnonymousTypes: false })

/** Parses the schema of a topic's records. Throws DecodeError Incompatible where it is none. */
export const typeOf = (json: AvroJson): RecordType => {
  const type = attempt("this is no Avro schema", () => {
    avscType(json)
    return parse(json)
  })
  if (type.kind !== "record")
    throw new DecodeError("Incompatible", `a topic's schema must be a record, not ${type.kind}`)
  return type
}

/** Whether avsc, too, would read the writer's records with the reader's schema. Throws DecodeError Incompatible. */
export const compatible = (writer: AvroJson, reader: AvroJson): void => {
  const from = attempt("the writer's schema is no Avro", () => avscType(writer))
  const into = attempt("the reader's schema is no Avro", () => avscType(reader))
  attempt("the reader's schema cannot read the writer's", () => into.createResolver(from, { ignoreNamespaces: true }))
}

const attempt = <A>(what: string, run: () => A): A => {
  try {
    return run()
  } catch (error) {
    if (error instanceof DecodeError) throw error
    throw new DecodeError("Incompatible", `${what}: ${messageOf(error)}`)
  }
}
