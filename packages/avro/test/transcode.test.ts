import { describe, expect, test } from "bun:test"
import { ByteWriter } from "@headrace/core"
import fc from "fast-check"
import { type AvroJson, makeDecoder, makeEncoder } from "../src/index.ts"
import { type FieldSpec, type RecordSpec, recordAndValue, toJson } from "./schemas.ts"

const encoded = (schema: AvroJson, value: object, id: number): Uint8Array => {
  const out = new ByteWriter(0)
  makeEncoder(schema, id).encode(value, out)
  return out.written().slice()
}

const EXTRA: readonly FieldSpec[] = [
  { name: "score", type: { kind: "double" } },
  { name: "note", type: { kind: "union", branches: [{ kind: "null" }, { kind: "string" }] } },
  { name: "country", type: { kind: "string" } }
]
const ADDED = { score: 0.25, note: "é", country: "NO" }

/** Output fields: some of the input's, some added, in any order; now and then an int became a long. */
const outputOf = (input: RecordSpec): fc.Arbitrary<RecordSpec> =>
  fc.tuple(fc.shuffledSubarray([...input.fields]), fc.boolean()).map(([kept, sorted]) => ({
    ...input,
    name: "Out",
    fields: sorted ? [...input.fields, ...EXTRA] : [...kept.slice(0, 2), ...EXTRA, ...kept.slice(2)]
  }))

const sample = recordAndValue.chain(([type, value]) => fc.tuple(fc.constant(type), fc.constant(value), outputOf(type)))
const names = EXTRA.map(field => field.name)

describe("an encoder made for a decoder", () => {
  test("writes what encoding the plain object with the added fields would give", () => {
    fc.assert(
      fc.property(sample, ([type, value, output]) => {
        const { decoder, learn } = makeDecoder(toJson(type))
        const whole = makeEncoder(toJson(output), 9)
        const copying = whole.from(decoder, names)
        learn(1, toJson(type))
        const bytes = encoded(toJson(type), value, 1)
        const extended = decoder.extended(names)
        decoder.view(bytes, 0, bytes.length)
        Object.assign(extended, ADDED)
        const [direct, copied] = [new ByteWriter(0), new ByteWriter(0)]
        whole.encode({ ...decoder.materialise(), ...ADDED }, direct)
        copying.encode(extended, copied)
        expect([...copied.written()]).toEqual([...direct.written()])
      }),
      { numRuns: 500 }
    )
  })

  const record = (fields: readonly unknown[]): AvroJson => ({ type: "record", name: "Payment", fields })
  const field = (name: string, type: unknown) => ({ name, type })
  const kind = (symbols: readonly string[]) => field("kind", { type: "enum", name: "Kind", symbols })

  test("copies only what the writer at hand wrote as the output wants it", () => {
    const reader = record([
      field("id", "string"),
      field("cents", "long"),
      kind(["a", "b", "c"]),
      field("rate", "double")
    ])
    const writers = [
      record([field("id", "string"), field("cents", "long"), kind(["a", "b", "c"]), field("rate", "double")]),
      record([
        field("rate", "float"),
        kind(["c", "b"]),
        field("more", "string"),
        field("cents", "int"),
        field("id", "bytes")
      ]),
      record([field("cents", "int"), kind(["a", "b"]), field("id", "string"), field("rate", "long")])
    ]
    const { decoder, learn } = makeDecoder(reader)
    const copying = makeEncoder(reader, 9).from(decoder, [])
    for (const [id, writer] of writers.entries()) learn(id, writer)
    const value = { id: "x", cents: 300, kind: "b", rate: 2, more: "" }
    for (const [id, writer] of [...writers.entries(), ...writers.entries()]) {
      const given = id === 1 ? { ...value, id: new TextEncoder().encode("x") } : value
      const bytes = encoded(writer, given, id)
      const out = new ByteWriter(0)
      copying.encode(decoder.view(bytes, 0, bytes.length), out)
      expect([...out.written()]).toEqual([...encoded(reader, value, 9)])
    }
  })

  test("may be made while the decoder stands on a record already", () => {
    const schema = record([field("id", "string"), field("cents", "long")])
    const { decoder, learn } = makeDecoder(schema)
    learn(1, schema)
    const bytes = encoded(schema, { id: "x", cents: 3 }, 1)
    const view = decoder.view(bytes, 0, bytes.length)
    const copying = makeEncoder(schema, 9).from(decoder, [])
    for (let i = 0; i < 2; i++) {
      const out = new ByteWriter()
      copying.encode(view, out)
      expect([...out.written()]).toEqual([...encoded(schema, { id: "x", cents: 3 }, 9)])
      decoder.view(bytes, 0, bytes.length)
    }
  })

  test("says which added field is wrong, and writes nothing then", () => {
    const { decoder, learn } = makeDecoder(record([field("id", "string")]))
    learn(1, record([field("id", "string")]))
    const copying = makeEncoder(record([field("id", "string"), field("score", "double")]), 9).from(decoder, ["score"])
    const bytes = encoded(record([field("id", "string")]), { id: "x" }, 1)
    decoder.view(bytes, 0, bytes.length)
    const out = new ByteWriter(0)
    out.u8(1)
    expect(() => copying.encode(decoder.extended(["score"]), out)).toThrow(
      "Payment.score must be a number (double), but is missing"
    )
    expect(out.length).toBe(1)
  })
})
