import type { ByteWriter } from "@headrace/core"
import type { TopicPartition } from "../ports/log.ts"
import type { RecordContext } from "./context.ts"
import type { Outputs } from "./outputs.ts"

const utf8 = new TextEncoder()

/**
 * Sends the source record on as it was read, key and value unchanged, with headers that say what happened:
 * `headrace.error`, `headrace.message`, `headrace.topic`, `headrace.partition`, `headrace.offset`.
 */
export const deadLetter = (
  outputs: Outputs,
  topic: number,
  from: TopicPartition,
  context: RecordContext,
  error: unknown
): void => {
  const { data } = outputs
  const start = data.length
  if (context.keyLength > 0) data.copy(context.bytes, context.keyStart, context.keyStart + context.keyLength)
  const valueStart = data.length
  data.copy(context.bytes, context.valueStart, context.valueStart + Math.max(0, context.valueLength))
  const headers = writeHeaders(data, {
    "headrace.error": nameOf(error),
    "headrace.message": textOf(error),
    "headrace.topic": from.topic,
    "headrace.partition": String(from.partition),
    "headrace.offset": String(context.offset)
  })
  outputs.add(topic, -1, context.keyLength < 0 ? -1 : start, valueStart, context.timestamp, headers)
}

/** Count u16, then name length u16, name, value length i32, value: little-endian, as the native producer takes them. */
const writeHeaders = (out: ByteWriter, headers: Readonly<Record<string, string>>): number => {
  const start = out.length
  const entries = Object.entries(headers)
  u16(out, entries.length)
  for (const [name, value] of entries) {
    const nameBytes = utf8.encode(name)
    const valueBytes = utf8.encode(value)
    u16(out, nameBytes.length)
    out.copy(nameBytes, 0, nameBytes.length)
    out.reserve(4)
    out.view.setInt32(out.length, valueBytes.length, true)
    out.length += 4
    out.copy(valueBytes, 0, valueBytes.length)
  }
  return out.length - start
}

const u16 = (out: ByteWriter, value: number): void => {
  out.reserve(2)
  out.view.setUint16(out.length, value, true)
  out.length += 2
}

export const nameOf = (error: unknown): string => {
  if (typeof error === "object" && error !== null && "_tag" in error) return String(error._tag)
  return error instanceof Error ? error.name : typeof error
}
export const textOf = (error: unknown): string => {
  if (error instanceof Error && error.message !== "") return error.message
  return typeof error === "object" ? JSON.stringify(error) : String(error)
}
