import { expect, test } from "bun:test"
import { ByteWriter } from "@headrace/core"
import fc from "fast-check"
import { structuralDecoder, structuralEncoder } from "../src/task/structural.ts"

const crossed = (record: object): object => {
  const out = new ByteWriter()
  structuralEncoder.encode(record, out)
  return structuralDecoder().view(out.bytes, 0, out.length)
}

const value = fc.letrec(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.double().map(number => (Object.is(number, -0) ? 0 : number)),
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(
      fc.string({ minLength: 1 }).filter(name => name !== "__proto__" && name[0] !== "$"),
      tie("value"),
      {
        maxKeys: 3,
        noNullPrototype: true
      }
    )
  )
})).value

test("records of plain values come out on the other side as they went in", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), value, { noNullPrototype: true }), record => {
      expect(crossed(record)).toEqual(record)
    })
  )
})

test("what JSON would spoil is refused by the name of its field, with what to do", () => {
  const spoilt: readonly [unknown, string][] = [
    [new Map([["a", 1]]), "Map"],
    [new Set([1]), "Set"],
    [new Uint8Array(2), "Uint8Array"],
    [new URL("http://example.com"), "URL"],
    [() => 1, "function"],
    [{ $date: 5 }, '"$date"']
  ]
  for (const [held, what] of spoilt)
    for (const record of [{ odd: held }, { deep: [{ odd: held }] }]) {
      expect(() => crossed(record)).toThrow(what)
      expect(() => crossed(record)).toThrow('field "odd"')
      expect(() => crossed(record)).toThrow("as(schema) before keyBy")
    }
})
