import type { RecordDecoder } from "@headrace/core"
import { type Internals, internalsOf, type Writer } from "./decoder.ts"
import { bodyCode, type Part, sourceOfWriters } from "./emit.ts"
import type { Body } from "./encoder.ts"
import { type AvroType, type Field, type RecordType, shape } from "./schema.ts"

/**
 * Writes records that a decoder stands on: what means the same to the writer, the reader and `type` is copied as
 * bytes, neighbours in one piece; the rest, and the added `names`, go through the record's properties. Compiled for
 * each writer when its first record comes.
 */
export const transcoder = (type: RecordType, whole: Body, decoder: RecordDecoder, names: readonly string[]): Body => {
  const source = internalsOf(decoder)
  if (source === undefined) return whole
  source.trace()
  const bodies: Body[] = []
  const { state, writers } = source
  return (record, out) => {
    const index = state.writer
    if (index === -1) return void whole(record, out)
    bodies[index] ??= compile(type, source, writers[index]!, names)
    bodies[index](record, out)
  }
}

const compile = (type: RecordType, decoder: Internals, writer: Writer, names: readonly string[]): Body => {
  const source = sourceOfWriters()
  source.bind("S", decoder.state)
  source.bind("P", writer.positions)
  source.add(...bodyCode(partsOf(type, decoder, writer, names), source))
  return source.run<Body>()
}

const partsOf = (type: RecordType, decoder: Internals, writer: Writer, names: readonly string[]): readonly Part[] => {
  const parts: Part[] = []
  for (const field of type.fields) {
    const at = names.includes(field.name) ? -1 : copyable(field, decoder.reader, writer)
    const last = parts.at(-1)
    if (at === -1) parts.push(field)
    else if (last !== undefined && "from" in last && last.to === at)
      parts[parts.length - 1] = { from: last.from, to: at + 1 }
    else parts.push({ from: at, to: at + 1 })
  }
  return parts
}

/** The writer's field whose bytes are what encoding the reader's value would give; -1 if there is none. */
const copyable = (field: Field, reader: RecordType, { type, plan }: Writer): number => {
  const index = reader.fields.findIndex(candidate => candidate.name === field.name)
  if (index === -1) return -1
  const at = plan.steps.findIndex(step => step.field === index)
  return at !== -1 && alike(type.fields[at]!.type, reader.fields[index]!.type, field.type) ? at : -1
}

/** An int lies on the wire as the long of the same value. */
const alike = (writer: AvroType, reader: AvroType, output: AvroType): boolean => {
  const wanted = shape(output)
  if (shape(reader) !== wanted || !sameKinds(reader, output)) return false
  return shape(writer) === wanted || (writer.kind === "int" && wanted === "long")
}

/** A bigint that a sink wants as a number must be refused by the sink, as without copying. */
const sameKinds = (reader: AvroType, output: AvroType): boolean =>
  reader.kind !== "long" || output.kind !== "long" || reader.bigint === output.bigint
