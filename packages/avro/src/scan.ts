import type { Plan, RecordPlan } from "./resolve.ts"
import { DEFAULT, isNumber, NULL, type Slot, type State } from "./slots.ts"
import { Source } from "./source.ts"
import { check, defaultOf } from "./value.ts"
import * as wire from "./wire.ts"

/** Walks one record in `b[p, end)`, fills the state and returns the position after it. Throws DecodeError. */
export type Scan = (b: Uint8Array, p: number, end: number) => number

/**
 * Compiles the walk over one writer's records. `positions`, if given, receives where each of the writer's fields
 * starts, and behind them where the last one ends: what copying fields needs.
 */
export const compileScan = (plan: RecordPlan, slots: readonly Slot[], state: State, positions?: Int32Array): Scan => {
  const source = new Source()
  source.bind("S", state)
  source.bind("F", state.numbers)
  source.bind("P", positions)
  source.bind("check", check)
  for (const [name, value] of Object.entries(wire)) source.bind(name, value)
  source.add("return (b, p, end) => {", "let x = 0, n = 0")
  for (const index of plan.missing) source.add(...absent(slots[index]!, source))
  for (const [i, step] of plan.steps.entries()) {
    if (positions !== undefined) source.add(`P[${i}] = p`)
    source.add(...fieldCode(step.plan, slots[step.field], source))
  }
  if (positions !== undefined) source.add(`P[${plan.steps.length}] = p`)
  source.add("return p", "}")
  return source.run<Scan>()
}

/** The writer has no such field: the reader's default stands in. */
const absent = (slot: Slot, source: Source): string[] => {
  const value = defaultOf(slot.field) ?? null
  if (value === null && slot.nullable) return [toNull(slot)]
  if (slot.form !== "scalar") return [`S.s${slot.index} = ${DEFAULT}`]
  const kept = slot.inner.kind === "enum" ? slot.inner.symbols.indexOf(value as string) : value
  return [`${isNumber(slot) ? `F[${slot.index}]` : `S.v${slot.index}`} = ${source.constant(kept)}`, ...present(slot)]
}

const toNull = ({ form, index }: Slot): string => (form === "scalar" ? `S.n${index} = true` : `S.s${index} = ${NULL}`)
const present = ({ form, index, nullable }: Slot): string[] =>
  form === "scalar" && nullable ? [`S.n${index} = false`] : []

const fieldCode = (plan: Plan, slot: Slot | undefined, source: Source): string[] => {
  if (slot === undefined) return skipCode(plan, source)
  if (plan.op === "null" && slot.nullable) return [toNull(slot)]
  if (slot.form === "lazy" && !(plan.op === "union" && slot.nullable)) return lazyCode(plan, slot, source)
  if (plan.op === "union") return unionCode(plan.branches, branch => fieldCode(branch, slot, source))
  if (slot.form === "span") return [...lengthCode, `S.s${slot.index} = p`, "p += n", `S.e${slot.index} = p`]
  return [...atomCode(plan, slot, source), ...present(slot)]
}

const lazyCode = (plan: Plan, { index }: Slot, source: Source): string[] => {
  const constant = source.constant(plan)
  return [`S.s${index} = p`, `S.r${index} = ${constant}`, `p = check(${constant}, b, p, end)`]
}

/** A field that the reader lacks: its bytes are checked, since only so the next field can be found. */
const skipCode = (plan: Plan, source: Source): string[] => {
  if (plan.op === "null") return []
  if (plan.op === "string" || plan.op === "bytes") return [...lengthCode, "p += n"]
  if (plan.op === "union") return unionCode(plan.branches, branch => skipCode(branch, source))
  if (plan.op === "varint") return ["if (p < end && b[p] < 128) p++", "else p = skipVarint(b, p, end)"]
  return [`p = check(${source.constant(plan)}, b, p, end)`]
}

/** Most lengths and indices take one byte: that case stands in line. Leaves `n` and `p` on the content. */
const lengthCode = [
  "if (p < end && (x = b[p]) < 128 && (x & 1) === 0) { n = x >>> 1; p++; if (n > end - p) truncated() }",
  "else { n = readLength(b, p, end); p = at.p }"
]

const unionCode = (branches: readonly Plan[], code: (branch: Plan) => string[]): string[] => [
  `if (p < end && (x = b[p]) < ${Math.min(branches.length * 2, 128)} && (x & 1) === 0) { x >>>= 1; p++ }`,
  `else { x = readIndex(b, p, end, ${branches.length}); p = at.p }`,
  "switch (x) {",
  ...branches.flatMap((branch, i) => [`case ${i}: {`, ...code(branch), "break }"]),
  "}"
]

const NUMBERS: Partial<Record<Plan["op"], string>> = {
  int: "intInto",
  long: "longInto",
  approximate: "approximateInto",
  float: "floatInto",
  double: "doubleInto"
}

/** A value of fixed form into its slot. */
const atomCode = (plan: Plan, { index }: Slot, source: Source): string[] => {
  if (plan.op === "enum") return enumCode(plan.table, `S.v${index}`, source)
  if (plan.op === "boolean") {
    return [`if (p < end && (x = b[p]) < 2) { S.v${index} = x === 1; p++ }`, "else readBoolean(b, p, end)"]
  }
  const reader = NUMBERS[plan.op]
  if (reader === undefined) throw new TypeError(`no scalar: ${plan.op}`)
  return [...oneByte(plan, index), `p = ${reader}(b, p, end, F, ${index})`]
}

const oneByte = ({ op }: Plan, index: number): string[] =>
  op === "float" || op === "double"
    ? []
    : [`if (p < end && (x = b[p]) < 128) { F[${index}] = (x >>> 1) ^ -(x & 1); p++ } else`]

const enumCode = (table: readonly number[], target: string, source: Source): string[] => {
  const same = table.every((to, from) => to === from)
  return [
    `if (p < end && (x = b[p]) < ${Math.min(table.length * 2, 128)} && (x & 1) === 0) { x >>>= 1; p++ }`,
    `else { x = readIndex(b, p, end, ${table.length}); p = at.p }`,
    `${target} = ${same ? "x" : `${source.constant(table)}[x]`}`
  ]
}
