import { type Key, readKey, STRING_KEY } from "./key.ts"
import { partitionOf } from "./partitioner.ts"

/** A range of bytes that is a key, and of which kind. */
export interface KeyBytes {
  readonly kind: number
  readonly start: number
  readonly end: number
}

const utf8 = new TextEncoder()

/** Big-endian, as Kafka's serializers write them. */
const fixed = (value: number | bigint, bytes: 4 | 8): Uint8Array | undefined => {
  if (typeof value === "number" && !Number.isSafeInteger(value)) return undefined
  const whole = BigInt(value)
  if (BigInt.asIntN(bytes * 8, whole) !== whole) return undefined
  const view = new DataView(new ArrayBuffer(bytes))
  if (bytes === 4) view.setInt32(0, Number(whole))
  else view.setBigInt64(0, whole)
  return new Uint8Array(view.buffer)
}

/** How producers write a key that is a number: what the partitioner hashes. */
const FORMS = {
  text: (value: number | bigint) => utf8.encode(String(value)),
  int: (value: number | bigint) => fixed(value, 4),
  long: (value: number | bigint) => fixed(value, 8)
}
/** `bytes`: as this job writes keys itself, between its stages. `unknown`: no key that is a number has shown it yet. */
export type KeyForm = keyof typeof FORMS | "bytes" | "unknown"
export const PRODUCER_FORMS: readonly KeyForm[] = ["text", "int", "long"]
export const OWN_FORM: KeyForm = "bytes"
export const UNKNOWN_FORM: KeyForm = "unknown"
/** The places are the numbers that stand for them in state. */
export const KEY_FORMS: readonly KeyForm[] = [...PRODUCER_FORMS, OWN_FORM, UNKNOWN_FORM]

/** Where Kafka's default partitioner puts a key; -1: it cannot be written in this form, or nobody knows. Text is written as it is. */
export const placeOfKey = (bytes: Uint8Array, key: KeyBytes, form: KeyForm, partitions: number): number => {
  const { kind, start, end } = key
  if (form === "bytes" || kind === STRING_KEY) return partitionOf(bytes.subarray(start, end), partitions)
  if (form === "unknown") return -1
  const written = FORMS[form](readKey(bytes, start, end, kind) as Exclude<Key, string>)
  return written === undefined ? -1 : partitionOf(written, partitions)
}
