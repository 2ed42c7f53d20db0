import type { AvroType, Field, RecordType } from "./schema.ts"

/**
 * How the view keeps a field of the reader between scan and getter:
 * `span` its bytes' start and end, `scalar` the value itself (of an enum the index), `lazy` where it starts and how to read it.
 */
export interface Slot {
  readonly index: number
  readonly field: Field
  readonly form: "span" | "scalar" | "lazy"
  /** The type without a null beside it. */
  readonly inner: AvroType
  readonly nullable: boolean
}

/** `s` of a span or lazy slot that holds no bytes. */
export const NULL = -1
export const DEFAULT = -2

export const slotsOf = (reader: RecordType): readonly Slot[] => reader.fields.map(slotOf)

const slotOf = (field: Field, index: number): Slot => {
  const inner = nonNull(field.type)
  return { index, field, inner, form: formOf(inner), nullable: inner !== field.type }
}

/** The other branch of a union of null and one more type; else the type itself. */
const nonNull = (type: AvroType): AvroType => {
  if (type.kind !== "union" || type.branches.length !== 2) return type
  const others = type.branches.filter(branch => branch.kind !== "null")
  return others.length === 1 ? others[0]! : type
}

const formOf = (type: AvroType): Slot["form"] => {
  switch (type.kind) {
    case "string":
    case "bytes":
      return "span"
    case "boolean":
    case "int":
    case "float":
    case "double":
    case "enum":
      return "scalar"
    case "long":
      return type.bigint ? "lazy" : "scalar"
    default:
      return "lazy"
  }
}

/** Whether a scalar lies among the state's `numbers`. */
export const isNumber = ({ inner }: Pick<Slot, "inner">): boolean => inner.kind !== "boolean" && inner.kind !== "enum"

/** What the scan of a record leaves for the getters. Made once for each decoder, with a fixed set of properties. */
export interface State {
  b: Uint8Array
  end: number
  /** Which of the known writers wrote the record; -1 where its positions were not noted. */
  writer: number
  /** Numbers by slot; symbols' indices, booleans and positions are properties. */
  readonly numbers: Float64Array
  [slot: string]: unknown
}

export const stateOf = (slots: readonly Slot[]): State => {
  const state: State = { b: new Uint8Array(0), end: 0, writer: -1, numbers: new Float64Array(slots.length) }
  for (const { index, form, inner } of slots) {
    if (form === "scalar") {
      if (!isNumber({ inner })) state[`v${index}`] = inner.kind === "boolean" ? false : 0
      state[`n${index}`] = true
    } else {
      state[`s${index}`] = NULL
      state[form === "span" ? `e${index}` : `r${index}`] = form === "span" ? 0 : undefined
    }
  }
  return state
}
