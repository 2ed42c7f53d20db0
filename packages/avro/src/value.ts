import type { EnumPlan, Plan, RecordPlan } from "./resolve.ts"
import { defaultValue, type Field } from "./schema.ts"
import {
  at,
  invalid,
  readApproximate,
  readBigInt,
  readBlock,
  readBoolean,
  readDouble,
  readFloat,
  readIndex,
  readInt,
  readLength,
  readLong,
  skipVarint,
  text,
  truncated
} from "./wire.ts"

/** Records within records within records: deeper is an attack or a mistake, and the stack is finite. */
const MAX_DEPTH = 64

let depth = 0

/**
 * Checks one value and returns the position after it. What it lets pass, `read` reads without an error. For nested
 * values; the fields of the record itself have code of their own. Throws DecodeError.
 */
export const check = (plan: Plan, b: Uint8Array, p: number, end: number): number => {
  depth = 0
  return step(plan, b, p, end)
}

const step = (plan: Plan, b: Uint8Array, p: number, end: number): number => {
  switch (plan.op) {
    case "null":
      return p
    case "string":
    case "bytes":
      return readLength(b, p, end) + at.p
    case "fixed":
      return plan.size > end - p ? truncated() : p + plan.size
    case "union":
      return stepUnion(plan.branches, b, p, end)
    case "array":
      return stepItems(plan.items, plan.least, false, b, p, end)
    case "map":
      return stepItems(plan.values, plan.least + 1, true, b, p, end)
    case "record":
      return stepRecord(plan, b, p, end)
    default:
      atom(plan, b, p, end)
      return at.p
  }
}

const stepUnion = (branches: readonly Plan[], b: Uint8Array, p: number, end: number): number => {
  const index = readIndex(b, p, end, branches.length)
  return step(branches[index]!, b, at.p, end)
}

const stepItems = (item: Plan, least: number, keyed: boolean, b: Uint8Array, p: number, end: number): number => {
  let next = p
  let empty = 0
  for (;;) {
    const count = readBlock(b, next, end, least)
    if (least === 0) empty = bounded(empty + count)
    next = at.p
    if (count === 0) return next
    for (let i = 0; i < count; i++) {
      if (keyed) next = readLength(b, next, end) + at.p
      next = step(item, b, next, end)
    }
  }
}

const bounded = (empty: number): number => (empty > 65536 ? invalid("too many empty items in one array") : empty)

const stepRecord = (plan: RecordPlan, b: Uint8Array, p: number, end: number): number => {
  if (++depth > MAX_DEPTH) invalid(`nested deeper than ${MAX_DEPTH} records`)
  let next = p
  for (const { plan: field } of plan.steps) next = step(field, b, next, end)
  depth--
  return next
}

const atom = (plan: Plan, b: Uint8Array, p: number, end: number): unknown => {
  switch (plan.op) {
    case "boolean":
      return readBoolean(b, p, end)
    case "int":
      return readInt(b, p, end)
    case "long":
      return readLong(b, p, end)
    case "varint":
      return skipVarint(b, p, end)
    case "approximate":
      return readApproximate(b, p, end)
    case "bigint":
      return readBigInt(b, p, end)
    case "float":
      return readFloat(b, p, end)
    case "double":
      return readDouble(b, p, end)
    default:
      return symbol(plan as EnumPlan, b, p, end)
  }
}

const symbol = (plan: EnumPlan, b: Uint8Array, p: number, end: number): string => {
  const index = readIndex(b, p, end, plan.table.length)
  return plan.symbols[plan.table[index]!]!
}

/** Reads a value that `check` let pass, as independent JavaScript values; `at.p` stands behind it. */
export const read = (plan: Plan, b: Uint8Array, p: number, end: number): unknown => {
  switch (plan.op) {
    case "null":
      at.p = p
      return null
    case "string":
      return readText(b, p, end)
    case "bytes":
      return readSlice(b, readLength(b, p, end))
    case "fixed":
      at.p = p
      return readSlice(b, plan.size)
    case "union": {
      const index = readIndex(b, p, end, plan.branches.length)
      return read(plan.branches[index]!, b, at.p, end)
    }
    case "array":
      return readArray(plan.items, plan.least, b, p, end)
    case "map":
      return readMap(plan.values, plan.least, b, p, end)
    case "record":
      return readRecord(plan, b, p, end)
    default:
      return atom(plan, b, p, end)
  }
}

const readText = (b: Uint8Array, p: number, end: number): string => {
  const length = readLength(b, p, end)
  const start = at.p
  at.p = start + length
  return text(b, start, start + length)
}

const readSlice = (b: Uint8Array, length: number): Uint8Array => {
  const start = at.p
  at.p = start + length
  return Uint8Array.prototype.slice.call(b, start, start + length)
}

const readArray = (item: Plan, least: number, b: Uint8Array, p: number, end: number): unknown[] => {
  const items: unknown[] = []
  at.p = p
  for (;;) {
    const count = readBlock(b, at.p, end, least)
    if (count === 0) return items
    for (let i = 0; i < count; i++) items.push(read(item, b, at.p, end))
  }
}

const readMap = (value: Plan, least: number, b: Uint8Array, p: number, end: number): Record<string, unknown> => {
  const map: Record<string, unknown> = {}
  at.p = p
  for (;;) {
    const count = readBlock(b, at.p, end, least + 1)
    if (count === 0) return map
    for (let i = 0; i < count; i++) {
      const key = readText(b, at.p, end)
      put(map, key, read(value, b, at.p, end))
    }
  }
}

const readRecord = (plan: RecordPlan, b: Uint8Array, p: number, end: number): Record<string, unknown> => {
  const fields = plan.reader?.fields ?? []
  const record: Record<string, unknown> = {}
  for (const field of fields) put(record, field.name, undefined)
  for (const index of plan.missing) put(record, fields[index]!.name, defaultOf(fields[index]!))
  at.p = p
  for (const { plan: step, field } of plan.steps) readField(fields[field], step, record, b, end)
  return record
}

const readField = (
  field: Field | undefined,
  plan: Plan,
  record: Record<string, unknown>,
  b: Uint8Array,
  end: number
): void => {
  if (field === undefined) {
    at.p = check(plan, b, at.p, end)
    return
  }
  const value = read(plan, b, at.p, end)
  put(record, field.name, value === null && field.optional ? undefined : value)
}

/** What the getter of a field gives that the writer did not write. */
export const defaultOf = (field: Field): unknown => {
  const value = defaultValue(field.type, field.default)
  return value === null && field.optional ? undefined : value
}

/** Sets a property, also where its name is `__proto__`: names come from outside. */
const put = (target: Record<string, unknown>, key: string, value: unknown): void => {
  if (key !== "__proto__") target[key] = value
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}
