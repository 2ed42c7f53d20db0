import fc from "fast-check"
import type { AvroJson } from "../src/index.ts"

/** A type to test with: plainer than Avro's JSON, so that it can be mutated before names are given out. */
export type Spec =
  | { readonly kind: "null" | "boolean" | "int" | "long" | "time" | "float" | "double" | "bytes" | "string" }
  | { readonly kind: "enum"; readonly name: string; readonly symbols: readonly string[]; readonly default?: string }
  | { readonly kind: "fixed"; readonly name: string; readonly size: number }
  | { readonly kind: "array" | "map"; readonly item: Spec }
  | { readonly kind: "union"; readonly branches: readonly Spec[] }
  | RecordSpec
export interface FieldSpec {
  readonly name: string
  readonly type: Spec
  readonly aliases?: readonly string[]
  /** With its default, as JSON. */
  readonly default?: { readonly json: unknown }
}
export interface RecordSpec {
  readonly kind: "record"
  readonly name: string
  readonly aliases?: readonly string[]
  readonly fields: readonly FieldSpec[]
}

/** The kinds that avsc's plain unions can hold only one of. */
const BUCKETS: Record<Spec["kind"], string> = {
  null: "null",
  boolean: "boolean",
  int: "number",
  long: "number",
  time: "number",
  float: "number",
  double: "number",
  string: "string",
  enum: "string",
  bytes: "buffer",
  fixed: "buffer",
  array: "array",
  map: "object",
  record: "object",
  union: "union"
}

/** avsc itself trips over `constructor`, `toString` and `__proto__`: those have tests of their own. */
const FIELD_NAMES = ["id", "account", "_tag", "kind", "b", "S", "v0", "length", "then", "x1"]
const symbols = fc.uniqueArray(fc.constantFrom("A", "B", "capture", "refund", "Z_9", "_"), { minLength: 1 })
const primitive = fc.constantFrom<Spec>(
  { kind: "null" },
  { kind: "boolean" },
  { kind: "int" },
  { kind: "long" },
  { kind: "time" },
  { kind: "float" },
  { kind: "double" },
  { kind: "bytes" },
  { kind: "string" },
  { kind: "string" }
)

const { spec } = fc.letrec<{ spec: Spec; record: RecordSpec }>(tie => ({
  record: fc.record({
    kind: fc.constant("record"),
    name: fc.constant("R"),
    fields: fc
      .uniqueArray(fc.constantFrom(...FIELD_NAMES), { maxLength: 5 })
      .chain(names => fc.tuple(...names.map(name => fc.record({ name: fc.constant(name), type: tie("spec") }))))
  }) as fc.Arbitrary<RecordSpec>,
  spec: fc.oneof(
    { maxDepth: 3, depthSize: "small", withCrossShrink: true },
    { weight: 8, arbitrary: primitive },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("enum"), name: fc.constant("E"), symbols }) as fc.Arbitrary<Spec>
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("fixed"),
        name: fc.constant("F"),
        size: fc.nat(9)
      }) as fc.Arbitrary<Spec>
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom("array", "map"), item: tie("spec") }) as fc.Arbitrary<Spec>
    },
    {
      weight: 4,
      arbitrary: fc
        .uniqueArray(tie("spec") as fc.Arbitrary<Spec>, {
          minLength: 1,
          maxLength: 4,
          selector: branch => BUCKETS[branch.kind]
        })
        .map(branches => branches.filter(branch => branch.kind !== "union"))
        .map((branches): Spec => ({ kind: "union", branches: branches.length > 0 ? branches : [{ kind: "null" }] }))
    },
    { weight: 2, arbitrary: tie("record") as fc.Arbitrary<Spec> }
  ) as fc.Arbitrary<Spec>
}))

/** A type of any kind. */
export const anySpec: fc.Arbitrary<Spec> = spec.map(type => rename(type, { n: 0 }))

/** A topic's record. */
const recordSpec: fc.Arbitrary<RecordSpec> = fc
  .uniqueArray(fc.constantFrom(...FIELD_NAMES), { maxLength: 9 })
  .chain(names => fc.tuple(...names.map(name => fc.record({ name: fc.constant(name), type: spec }))))
  .map(fields => rename({ kind: "record", name: "Top", fields }, { n: 0 }) as RecordSpec)

/** Gives each named type a name of its own. */
const rename = (type: Spec, next: { n: number }): Spec => {
  switch (type.kind) {
    case "enum":
    case "fixed":
      return { ...type, name: `${type.name}${next.n++}` }
    case "array":
    case "map":
      return { ...type, item: rename(type.item, next) }
    case "union":
      return { ...type, branches: type.branches.map(branch => rename(branch, next)) }
    case "record": {
      const name = `${type.name}${next.n++}`
      return { ...type, name, fields: type.fields.map(field => ({ ...field, type: rename(field.type, next) })) }
    }
    default:
      return type
  }
}

export const toJson = (type: Spec): AvroJson => {
  switch (type.kind) {
    case "time":
      return { type: "long", logicalType: "timestamp-millis" }
    case "enum":
      return {
        type: "enum",
        name: type.name,
        symbols: type.symbols,
        ...(type.default !== undefined && { default: type.default })
      }
    case "fixed":
      return { type: "fixed", name: type.name, size: type.size }
    case "array":
      return { type: "array", items: toJson(type.item) }
    case "map":
      return { type: "map", values: toJson(type.item) }
    case "union":
      return type.branches.map(toJson)
    case "record":
      return {
        type: "record",
        name: type.name,
        ...(type.aliases && { aliases: type.aliases }),
        fields: type.fields.map(field => ({
          name: field.name,
          type: toJson(field.type),
          ...(field.aliases && { aliases: field.aliases }),
          ...(field.default && { default: field.default.json })
        }))
      }
    default:
      return type.kind
  }
}

/** Beyond it avsc writes wrong bytes for negative longs; those have a test of their own. */
const LIMIT = 2 ** 52
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme", minLength: 20, maxLength: 90 })
)

const anyValue = (type: Spec): fc.Arbitrary<unknown> => {
  switch (type.kind) {
    case "null":
      return fc.constant(null)
    case "boolean":
      return fc.boolean()
    case "int":
      return fc.oneof(fc.integer(), fc.integer({ min: -70, max: 70 }))
    case "long":
    case "time":
      return fc.oneof(fc.integer({ min: -LIMIT, max: LIMIT }), fc.integer({ min: -9000, max: 9000 }))
    case "float":
      return fc.float()
    case "double":
      return fc.double()
    case "bytes":
      return fc.uint8Array({ maxLength: 80 })
    case "string":
      return text
    case "enum":
      return fc.constantFrom(...type.symbols)
    case "fixed":
      return fc.uint8Array({ minLength: type.size, maxLength: type.size })
    case "array":
      return fc.array(anyValue(type.item), { maxLength: 4 })
    case "map":
      return fc.dictionary(
        text.filter(key => key !== "__proto__"),
        anyValue(type.item),
        { maxKeys: 4, noNullPrototype: true }
      )
    case "union":
      return fc.oneof(...type.branches.map(anyValue))
    case "record":
      return fc.tuple(...type.fields.map(field => anyValue(field.type))).map(values => recordOf(type, values))
  }
}

const recordOf = (type: RecordSpec, values: readonly unknown[]): object =>
  Object.fromEntries(type.fields.map((field, i) => [field.name, values[i]]))

/** A record's type and a value of it. */
export const recordAndValue: fc.Arbitrary<readonly [RecordSpec, object]> = recordSpec.chain(type =>
  fc.tuple(fc.constant(type), anyValue(type) as fc.Arbitrary<object>)
)

/** Plain data to compare: no prototypes, no difference between Buffer and Uint8Array, no lost `__proto__`. */
export const plain = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return { bytes: [...value] }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null) return value
  return Object.entries(value).map(([key, inner]) => [key, plain(inner)])
}

/** What avsc takes: bytes are Buffers there. */
export const buffers = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(buffers)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, buffers(inner)]))
}
