import { expect, test } from "bun:test"
import { Effect, Schema } from "effect"
import { shapeOf } from "../src/shape.ts"

interface Tree {
  readonly leaf: number
  readonly more: readonly Tree[]
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  leaf: Schema.Finite,
  more: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

test("a schema's shape is that of its JSON, whatever the order of its fields", () => {
  const fields = {
    name: Schema.String,
    any: Schema.Number,
    cents: Schema.Int,
    rate: Schema.Finite,
    big: Schema.BigInt,
    at: Schema.Date,
    kind: Schema.Literals(["a", "b"]),
    note: Schema.optionalKey(Schema.String),
    tag: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("none"))),
    list: Schema.Array(Schema.Boolean),
    pair: Schema.Tuple([Schema.String, Schema.Int]),
    map: Schema.Record(Schema.String, Schema.Int),
    none: Schema.NullOr(Schema.String)
  }
  const shape = shapeOf(Schema.Struct(fields))
  expect(shape).toEqual({
    record: {
      name: { shape: "string" },
      any: { shape: "number" },
      cents: { shape: "integer" },
      rate: { shape: "finite" },
      big: { shape: "string" },
      at: { shape: "string" },
      kind: { shape: { union: [{ literal: "a" }, { literal: "b" }] } },
      note: { shape: "string", optional: true },
      tag: { shape: "string", optional: true },
      list: { shape: { list: "boolean" } },
      pair: { shape: { tuple: ["string", "integer"] } },
      map: { shape: { map: "integer" } },
      none: { shape: { union: ["null", "string"] } }
    }
  })
  const turned = Schema.Struct(Object.fromEntries(Object.entries(fields).reverse()))
  expect(JSON.stringify(shapeOf(turned))).toBe(JSON.stringify(shape))
})

test("a number is whole where a check says so, whatever is called what", () => {
  const whole = (schema: Schema.Top) => shapeOf(schema)
  expect(whole(Schema.Int)).toBe("integer")
  expect(whole(Schema.Natural)).toBe("integer")
  // Checks in a group.
  expect(whole(Schema.Number.check(Schema.isInt32()))).toBe("integer")
  expect(whole(Schema.Number.check(Schema.isUint32()))).toBe("integer")
  // A name and a wording of one's own, which take nothing from the check and add nothing to another one.
  expect(whole(Schema.Number.check(Schema.isInt({ expected: "whole cents", title: "cents" })))).toBe("integer")
  const rate = Schema.isBetween({ minimum: 0, maximum: 1 }, { description: "isInterestRate, as isInt is not" })
  expect(whole(Schema.Finite.check(rate))).toBe("finite")
})

test("a recursive one ends", () => {
  expect(shapeOf(Tree)).toEqual({
    record: { leaf: { shape: "finite" }, more: { shape: { list: { up: 2 } } } }
  })
})
