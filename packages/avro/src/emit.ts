import type { AvroType, EnumType, Field } from "./schema.ts"
import { quote, Source } from "./source.ts"
import { writeField } from "./write.ts"

/**
 * The code that writes records. It keeps the writer's bytes `b`, view `w` and position `p` in locals; there is always
 * room for all that is still to come and has a fixed greatest size (`rest`), so that only texts and copies ask for
 * more. What is rare or wrong goes through `slow`, which does it all again with every check.
 */
export const sourceOfWriters = (): Source => {
  const source = new Source()
  source.bind("writeField", writeField)
  source.bind("putInt", putInt)
  source.bind("putLong", putLong)
  source.bind("viewOf", viewOf)
  return source
}

/** A field of the record, or a stretch of bytes from between two of the writer's positions. */
export type Part = Field | { readonly from: number; readonly to: number }

export const bodyCode = (parts: readonly Part[], source: Source): string[] => {
  const rests = parts.map((_, i) => parts.slice(i).reduce((sum, part) => sum + fixedSize(part), 0))
  return [
    "let sb, sv",
    "return (r, out) => {",
    "let v, n = 0, i = 0, x = 0, f = 0",
    `out.reserve(${rests[0] ?? 0})`,
    "let b = out.bytes, w = out.view, p = out.length",
    ...parts.flatMap((part, i) => ("from" in part ? copyCode(part, rests[i]!) : fieldCode(part, rests[i]!, source))),
    "out.length = p",
    "}"
  ]
}

const reload = "b = out.bytes; w = out.view; p = out.length"
const room = (rest: number): string =>
  `if (p + n + ${rest} > b.length) { out.length = p; out.reserve(n + ${rest}); ${reload} }`

/** Up to this size a loop over words is quicker than a native copy. */
const LOOP = 128

const copyCode = ({ from, to }: { readonly from: number; readonly to: number }, rest: number): string[] => [
  `x = P[${from}]; n = P[${to}] - x`,
  room(rest),
  `if (n > ${LOOP}) { b.set(S.b.subarray(x, x + n), p); p += n }`,
  "else {",
  "const s = S.b; if (s !== sb) sv = viewOf(sb = s)",
  "for (n += x - 3; x < n; x += 4, p += 4) w.setInt32(p, sv.getInt32(x, true), true)",
  "for (n += 3; x < n; x++) b[p++] = s[x]",
  "}"
]

const fieldCode = (field: Field, rest: number, source: Source): string[] => {
  const name = source.constant(field)
  const [inner, branch, none] = nullableOf(field)
  const slow = `out.length = f; writeField(${name}, v, out); out.reserve(${rest}); ${reload}`
  const fast = atomCode(inner, rest, branch === undefined ? "" : `b[p++] = ${branch * 2}; `, source)
  const absent = none === undefined ? [] : [`if (${absence(field)}) b[p++] = ${none * 2}`, "else"]
  return [
    `v = r[${quote(field.name)}]; f = p`,
    ...absent,
    ...fast.map(line => line.replace("SLOW", slow)),
    ...(fast.length === 0 ? [`{ ${slow} }`] : [])
  ]
}

/** A field's type without null, and the branches of the type and of null where it is a union of the two. */
const nullableOf = (field: Field): readonly [AvroType, number | undefined, number | undefined] => {
  const { type } = field
  if (type.kind !== "union" || type.branches.length !== 2) return [type, undefined, undefined]
  const none = type.branches.findIndex(branch => branch.kind === "null")
  return none === -1 ? [type, undefined, undefined] : [type.branches[1 - none]!, 1 - none, none]
}

/** A missing field is null, unless it has a default that is something else. */
const absence = (field: Field): string =>
  field.default === undefined || field.default === null ? "v === null || v === undefined" : "v === null"

/** An `if` whose last part is `else { SLOW }`; nothing where there is no quick way. */
const atomCode = (type: AvroType, rest: number, branch: string, source: Source): string[] => {
  const or = "else { SLOW }"
  switch (type.kind) {
    case "boolean":
      return [`if (v === true || v === false) { ${branch}b[p++] = v ? 1 : 0 }`, or]
    case "int":
      return [`if (typeof v === "number" && v === (v | 0)) { ${branch}p = putInt(b, p, (v << 1) ^ (v >> 31)) }`, or]
    case "long":
      return type.bigint ? [] : longCode(branch, or)
    case "float":
      return [`if (typeof v === "number") { ${branch}w.setFloat32(p, v, true); p += 4 }`, or]
    case "double":
      return [`if (typeof v === "number") { ${branch}w.setFloat64(p, v, true); p += 8 }`, or]
    case "enum":
      return enumCode(type, branch, or, source)
    case "string":
      return stringCode(rest, branch)
    default:
      return []
  }
}

const longCode = (branch: string, or: string): string[] => [
  `if (typeof v === "number" && v === (v | 0)) { ${branch}p = putInt(b, p, (v << 1) ^ (v >> 31)) }`,
  `else if (Number.isSafeInteger(v)) { ${branch}p = putLong(b, p, v) }`,
  or
]

/** Comparing a few symbols one by one is quicker than a table. */
const MANY_SYMBOLS = 16

const enumCode = ({ symbols }: EnumType, branch: string, or: string, source: Source): string[] => {
  if (symbols.length > MANY_SYMBOLS) return []
  return [
    ...symbols.map((symbol, i) => `if (v === ${source.constant(symbol)}) { ${branch}b[p++] = ${i * 2} } else`),
    or.replace("else ", "")
  ]
}

/** ASCII whose length takes one byte is copied by character; the first other one sends the field the slow way. */
const stringCode = (rest: number, branch: string): string[] => [
  'if (typeof v === "string" && (n = v.length) < 64) {',
  room(rest),
  `f = p; ${branch}b[p++] = n * 2`,
  "for (i = 0; i < n; i++) { if ((x = v.charCodeAt(i)) > 127) break; b[p++] = x }",
  "if (i < n) { SLOW }",
  "}",
  "else { SLOW }"
]

/** The most bytes that the quick way takes without asking for room. */
const fixedSize = (part: Part): number => {
  if ("from" in part) return 0
  const [inner] = nullableOf(part)
  const sizes: Partial<Record<AvroType["kind"], number>> = { int: 5, long: 10, float: 4, double: 8 }
  return 2 + (sizes[inner.kind] ?? 1)
}

const putInt = (b: Uint8Array, p: number, zigzag: number): number => {
  let rest = zigzag >>> 0
  let at = p
  while (rest > 127) {
    b[at++] = (rest & 127) | 128
    rest >>>= 7
  }
  b[at++] = rest
  return at
}

const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength)

const TWO_27 = 2 ** 27

/** A safe integer beyond 32 bits: 28 bits and the others. */
const putLong = (b: Uint8Array, p: number, value: number): number => {
  const magnitude = value < 0 ? -value - 1 : value
  const high = Math.floor(magnitude / TWO_27)
  const low = ((magnitude - high * TWO_27) << 1) | (value < 0 ? 1 : 0)
  if (high === 0) return putInt(b, p, low)
  b[p] = (low & 127) | 128
  b[p + 1] = ((low >>> 7) & 127) | 128
  b[p + 2] = ((low >>> 14) & 127) | 128
  b[p + 3] = (low >>> 21) | 128
  return putInt(b, p + 4, high)
}
