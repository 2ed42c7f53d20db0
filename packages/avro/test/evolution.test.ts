import { describe, expect, test } from "bun:test"
import { ByteWriter, DecodeError } from "@headrace/core"
import avsc from "avsc"
import fc from "fast-check"
import { type AvroJson, makeDecoder, makeEncoder } from "../src/index.ts"
import { resolve } from "../src/resolve.ts"
import { parse } from "../src/schema.ts"
import { buffers, type FieldSpec, plain, type RecordSpec, recordAndValue, type Spec, toJson } from "./schemas.ts"

const avscOf = (type: RecordSpec) => avsc.Type.forSchema(toJson(type) as never)

/** A source of choices for one mutation. */
type Choose = <A>(options: readonly A[]) => A

const PRIMITIVES = ["null", "boolean", "int", "long", "time", "float", "double", "bytes", "string"] as const

/** The type as a reader might have it: promoted, wrapped, with other symbols, or something else altogether. */
const evolved = (type: Spec, choose: Choose): Spec => {
  switch (choose(["same", "same", "same", "inside", "inside", "inside", "wrap", "unwrap", "other"])) {
    case "same":
      return type
    case "wrap":
      return type.kind === "union" || type.kind === "null"
        ? type
        : { kind: "union", branches: [{ kind: "null" }, type] }
    case "unwrap":
      return type.kind === "union" ? choose(type.branches) : type
    case "other":
      return { kind: choose(PRIMITIVES) }
    default:
      return inside(type, choose)
  }
}

const inside = (type: Spec, choose: Choose): Spec => {
  switch (type.kind) {
    case "int":
      return { kind: choose(["long", "float", "double"] as const) }
    case "long":
    case "time":
      return { kind: choose(["float", "double", "int"] as const) }
    case "float":
      return { kind: "double" }
    case "string":
      return { kind: "bytes" }
    case "bytes":
      return { kind: "string" }
    case "enum": {
      const symbols = choose([["NEW", ...type.symbols], [...type.symbols].reverse(), ["NEW", ...type.symbols.slice(1)]])
      return choose([
        { ...type, symbols },
        { ...type, symbols, default: symbols[0]! },
        { ...type, name: `Other${type.name}` }
      ])
    }
    case "fixed":
      return { ...type, size: type.size + 1 }
    case "array":
    case "map":
      return { ...type, item: evolved(type.item, choose) }
    case "union":
      return {
        ...type,
        branches: type.branches.map(branch => (branch.kind === "union" ? branch : sameBucket(branch, choose)))
      }
    case "record":
      return evolvedRecord(type, choose)
    default:
      return type
  }
}

/** Within a union a branch stays what it is, lest the union become ambiguous. */
const sameBucket = (branch: Spec, choose: Choose): Spec =>
  branch.kind === "record" || branch.kind === "enum" ? inside(branch, choose) : branch

const ADDED: readonly FieldSpec[] = [
  { name: "added_long", type: { kind: "long" }, default: { json: -5 } },
  { name: "added_text", type: { kind: "string" }, default: { json: "é" } },
  { name: "added_bytes", type: { kind: "bytes" }, default: { json: "\u00ff\u0001" } },
  { name: "added_enum", type: { kind: "enum", name: "Added", symbols: ["X", "Y"] }, default: { json: "Y" } },
  { name: "added_list", type: { kind: "array", item: { kind: "int" } }, default: { json: [1, 2] } },
  {
    name: "added_null",
    type: { kind: "union", branches: [{ kind: "null" }, { kind: "string" }] },
    default: { json: null }
  },
  {
    name: "added_union",
    type: { kind: "union", branches: [{ kind: "double" }, { kind: "null" }] },
    default: { json: 1.5 }
  },
  { name: "added_required", type: { kind: "int" } }
]

const evolvedRecord = (type: RecordSpec, choose: Choose): RecordSpec => {
  let fields: FieldSpec[] = type.fields.map(field => ({ ...field, type: evolved(field.type, choose) }))
  const at = fields.length === 0 ? 0 : choose(fields.map((_, i) => i))
  if (choose([true, false])) fields = [...fields.slice(at), ...fields.slice(0, at)]
  if (choose([true, false])) fields = fields.slice(0, at)
  if (choose([true, true, false]))
    fields = fields.map((field, i) =>
      i === at ? { ...field, name: `${field.name}_new`, aliases: [field.name] } : field
    )
  const named = choose([
    type,
    type,
    type,
    { ...type, name: `New${type.name}` },
    { ...type, name: `New${type.name}`, aliases: [type.name] }
  ])
  const added = type.name === "Top0" ? [choose(ADDED), ...(choose([true, false]) ? [choose(ADDED)] : [])] : []
  return { ...named, fields: [...fields, ...new Set(added)] }
}

const pair = fc.tuple(recordAndValue, fc.infiniteStream(fc.nat(100_000))).map(([[writer, value], choices]) => {
  const choose: Choose = options => options[choices.next().value % options.length]!
  return { writer, value, reader: evolvedRecord(writer, choose) }
})

/** avsc reads a string into a union of bytes and string as bytes; Headrace keeps what was a string one. */
const ambiguous = (type: Spec): boolean => {
  if (type.kind === "array" || type.kind === "map") return ambiguous(type.item)
  if (type.kind === "record") return type.fields.some(field => ambiguous(field.type))
  if (type.kind !== "union") return false
  const kinds = type.branches.map(branch => branch.kind)
  return (kinds.includes("string") && kinds.includes("bytes")) || type.branches.some(ambiguous)
}

const attempt = <A>(run: () => A): A | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}

const framed = (body: Uint8Array): Uint8Array => Uint8Array.from([0, 0, 0, 0, 1, ...body])

describe("a reader of another schema than the writer's", () => {
  let read = 0
  let refused = 0

  test("reads what avsc's resolver reads, and refuses what it refuses", () => {
    fc.assert(
      fc.property(pair, ({ writer, value, reader }) => {
        fc.pre(!ambiguous(writer) && !ambiguous(reader))
        const [from, into] = [avscOf(writer), avscOf(reader)]
        const resolver = attempt(() => into.createResolver(from, { ignoreNamespaces: true }))
        const plan = attempt(() => resolve(parse(toJson(writer)), parse(toJson(reader))))
        expect(plan === undefined).toBe(resolver === undefined)
        if (resolver === undefined) {
          refused++
          expect(() => makeDecoder(toJson(reader)).learn(1, toJson(writer))).toThrow(DecodeError)
          return
        }
        read++
        const bytes = framed(from.toBuffer(buffers(value)))
        const { decoder, learn } = makeDecoder(toJson(reader))
        learn(1, toJson(writer))
        decoder.view(bytes, 0, bytes.length)
        expect(plain(decoder.materialise())).toEqual(plain(into.fromBuffer(from.toBuffer(buffers(value)), resolver)))
      }),
      { numRuns: 3000 }
    )
    expect(read).toBeGreaterThan(300)
    expect(refused).toBeGreaterThan(300)
  })
})

const record = (fields: readonly unknown[], name = "Payment"): AvroJson => ({ type: "record", name, fields })
const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more })

const through = (writer: AvroJson, value: object, reader: AvroJson): object => {
  const out = new ByteWriter()
  makeEncoder(writer, 1).encode(value, out)
  const { decoder, learn } = makeDecoder(reader)
  learn(1, writer)
  decoder.view(out.bytes, 0, out.length)
  return decoder.materialise()
}

describe("evolution by hand", () => {
  test("a refusal names the field and the reason", () => {
    const learn = (writer: AvroJson, reader: AvroJson) => () => makeDecoder(reader).learn(1, writer)
    const name = record([field("who", record([field("name", "string")], "Who"))])
    expect(learn(record([field("who", record([field("name", "long")], "Who"))]), name)).toThrow(
      "field who.name: long cannot be read as string"
    )
    expect(learn(record([]), name)).toThrow("field who: the writer has no such field, and it has no default")
    expect(learn(record([], "Login"), record([]))).toThrow("the writer's record is called Login, the reader's Payment")
  })

  test("a record of a writer that was refused says why, and of one that nobody knows that", () => {
    const { decoder, learn } = makeDecoder(record([field("name", "string")]))
    expect(() => learn(7, record([field("name", "long")]))).toThrow()
    const out = new ByteWriter()
    makeEncoder(record([field("name", "long")]), 7).encode({ name: 5 }, out)
    expect(() => decoder.view(out.bytes, 0, out.length)).toThrow(
      "the schema with id 7 does not fit: field name: long cannot be read as string"
    )
    out.bytes[4] = 8
    expect(() => decoder.view(out.bytes, 0, out.length)).toThrow("the registry has no schema with id 8")
  })

  test("namespaces of the writer do not matter, names do", () => {
    const writer = { ...(record([field("id", "string")]) as object), namespace: "com.acme" } as AvroJson
    expect(through(writer, { id: "x" }, record([field("id", "string")]))).toEqual({ id: "x" })
  })

  test("a string stays a string in a union that could also take bytes", () => {
    const schema = record([field("v", ["bytes", "string"])])
    expect(through(schema, { v: "x" }, schema)).toEqual({ v: "x" })
  })

  test("a skipped recursive field is stepped over, and one that is too deep is refused", () => {
    const node = { type: "record", name: "Node", fields: [field("next", ["null", "Node"])] }
    const writer = record([field("list", node), field("id", "string")])
    expect(
      through(writer, { list: { next: { next: { next: null } } }, id: "x" }, record([field("id", "string")]))
    ).toEqual({ id: "x" })
    const { decoder, learn } = makeDecoder(record([field("id", "string")]))
    learn(1, writer)
    const deep = Uint8Array.from([0, 0, 0, 0, 1, ...new Array(100_000).fill(2), 0, 2, 120])
    expect(() => decoder.view(deep, 0, deep.length)).toThrow("nested deeper than 64 records")
  })

  test("an absent optional field is undefined, an absent nullable one null", () => {
    const reader = record([
      field("a", ["null", "string"], { default: null, headrace: "optional" }),
      field("b", ["null", "string"], { default: null }),
      field("c", ["null", "long"], { default: null, headrace: "optional" })
    ])
    const absent = { a: undefined, b: null, c: undefined }
    expect(through(record([]), {}, reader)).toStrictEqual(absent)
    expect(through(reader, {}, reader)).toStrictEqual(absent)
  })

  test("each reading of a default is a fresh one", () => {
    const { decoder, learn } = makeDecoder(record([field("list", { type: "array", items: "int" }, { default: [1] })]))
    learn(1, record([]))
    const view = decoder.view(Uint8Array.of(0, 0, 0, 0, 1), 0, 5) as { list: number[] }
    view.list.push(2)
    expect(view.list).toEqual([1])
  })
})
