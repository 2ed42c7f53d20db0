import { describe, expect, test } from "bun:test"
import { ByteWriter } from "@headrace/core"
import avsc from "avsc"
import { Arbitrary, Effect, Schema } from "effect"
import { Avro, type AvroJson, DeriveError, derive, makeDecoder, makeEncoder, published } from "../src/index.ts"
import { plain } from "./schemas.ts"

class Address extends Schema.Class<Address>("Address")({ city: Schema.String, zip: Schema.optional(Schema.Int) }) {}

const Event = Schema.Union([
  Schema.TaggedStruct("Login", { device: Schema.String }),
  Schema.TaggedStruct("Paid", { cents: Schema.Int })
])

const Everything = Schema.Struct({
  id: Schema.String,
  count: Schema.Int.check(Schema.isBetween({ minimum: -1e15, maximum: 1e15 })),
  small: Schema.Int.annotate(Avro.int),
  at: Schema.Int.annotate(Avro.timestampMillis),
  rate: Schema.Finite,
  half: Schema.Number.annotate(Avro.float),
  yes: Schema.Boolean,
  kind: Schema.Literals(["capture", "refund"]),
  open: Schema.Literals(["card-present", "online"]).annotate(Avro.string),
  version: Schema.Literal(3),
  huge: Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n })),
  raw: Schema.Uint8Array,
  tags: Schema.Array(Schema.String),
  totals: Schema.Record(Schema.String, Schema.Int),
  note: Schema.NullOr(Schema.String),
  maybe: Schema.optionalKey(Schema.Finite),
  perhaps: Schema.optional(Schema.Literals(["a", "b"])),
  seen: Schema.optionalKey(Schema.Int.annotate(Avro.timestampMillis)),
  home: Address,
  work: Schema.NullOr(Address),
  event: Event,
  events: Schema.Array(Event),
  mixed: Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])
})

const values = Arbitrary.schema(Everything)

const through = (schema: AvroJson, value: object): object => {
  const out = new ByteWriter()
  makeEncoder(schema, 1).encode(value, out)
  const { decoder, learn } = makeDecoder(schema)
  learn(1, published(schema))
  decoder.view(out.bytes, 0, out.length)
  return decoder.materialise()
}

/** Without keys that are undefined (an absent field comes back as one) and without halves of surrogate pairs. */
const present = (value: unknown): unknown => JSON.parse(JSON.stringify(plain(value), replacer))
const replacer = (_: string, value: unknown): unknown => {
  if (typeof value === "bigint") return `${value}n`
  if (typeof value === "string") return value.toWellFormed()
  if (Object.is(value, -0)) return 0
  return Array.isArray(value)
    ? value.filter(entry => !(Array.isArray(entry) && entry.length === 2 && entry[1] === undefined))
    : value
}

describe("a derived schema", () => {
  const schema = derive(Everything, "everything")

  test("is one that avsc accepts", () => {
    expect(() => avsc.Type.forSchema(published(schema) as never)).not.toThrow()
  })

  test("carries every value of the Effect Schema there and back", async () => {
    const returns = (value: typeof Everything.Type): boolean => {
      const totals = Object.fromEntries(Object.entries(value.totals).map(([key, total]) => [key.toWellFormed(), total]))
      const small = { ...value, totals, small: value.small | 0, half: Math.fround(value.half) }
      return Bun.deepEquals(present(through(schema, small)), present(small))
    }
    const result = await Effect.runPromise(Arbitrary.checkEffect(values, returns, { runs: 500 }))
    expect(Arbitrary.formatCheckFailure(result)).toBeUndefined()
  })

  test("names what was not named by where it is", () => {
    const named = derive(
      Schema.Struct({ kind: Schema.Literals(["a"]), in: Schema.Struct({ x: Schema.Int }) }),
      "my.topic-1"
    )
    expect(JSON.stringify(named)).toBe(
      '{"type":"record","name":"my_topic_1","fields":[{"name":"kind","type":{"type":"enum","name":"my_topic_1_kind","symbols":["a"]}},' +
        '{"name":"in","type":{"type":"record","name":"my_topic_1_in","fields":[{"name":"x","type":"long"}]}}]}'
    )
  })

  test("defines a class once and takes names, aliases and defaults from annotations", () => {
    const Job = Schema.Struct({
      from: Address,
      to: Address,
      cents: Schema.Int.annotate(Avro.aliases("amount")).annotate(Avro.withDefault(7))
    }).annotate(Avro.name("com.acme.Job"))
    const fields = (derive(Job, "jobs") as { readonly fields: readonly Record<string, unknown>[] }).fields
    expect(derive(Job, "jobs")).toMatchObject({ name: "com.acme.Job" })
    expect(fields[1]!.type).toBe("Address")
    expect(fields[2]).toEqual({ name: "cents", type: "long", default: 7, aliases: ["amount"] })
  })

  test("is published without hints", () => {
    expect(JSON.stringify(published(schema))).not.toContain("headrace")
  })
})

describe("what Avro cannot hold", () => {
  test.each([
    ["a date", Schema.Struct({ d: Schema.Date }), "t.d", "Avro.timestampMillis"],
    ["a tuple", Schema.Struct({ a: Schema.Struct({ t: Schema.Tuple([Schema.String]) }) }), "t.a.t", "make it a struct"],
    ["a literal that is no symbol", Schema.Struct({ k: Schema.Literals(["a-b"]) }), "t.k", "Avro.string"],
    ["unknown", Schema.Struct({ list: Schema.Array(Schema.Unknown) }), "t.list[]", "concrete schema"],
    [
      "two of a kind",
      Schema.Struct({ u: Schema.Union([Schema.Array(Schema.String), Schema.Array(Schema.Int)]) }),
      "t.u",
      "tell"
    ],
    ["an option", Schema.Struct({ o: Schema.Option(Schema.String) }), "t.o", "struct of its parts"],
    ["a field with a dash", Schema.Struct({ "a-b": Schema.String }), "t.a-b", "letters"],
    ["a wrong annotation", Schema.Struct({ s: Schema.String.annotate(Avro.int) }), "t.s", "does not fit"],
    ["no record", Schema.String, "t", "struct or class"]
  ] as const)("%s is refused by its path, with advice", (_, schema, path, advice) => {
    try {
      derive(schema, "t")
      throw new Error("it was derived")
    } catch (error) {
      expect(error).toBeInstanceOf(DeriveError)
      expect((error as DeriveError).path).toBe(path)
      expect((error as DeriveError).message).toContain(advice)
    }
  })
})
