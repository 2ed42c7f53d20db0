import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { ByteWriter } from "../src/bytes.ts"
import { KeyError, keyed, readKey, STRING_KEY, writeKey } from "../src/key.ts"
import { keyBy, keyByField } from "../src/operators/keyBy.ts"
import { compareBytes } from "../src/state/order.ts"

const encode = (key: string | number | bigint): Uint8Array => {
  const out = new ByteWriter(1)
  writeKey(out, key)
  return out.written().slice()
}
const roundTrip = (key: string | number | bigint) => {
  const out = new ByteWriter(1)
  out.u8(77)
  const kind = writeKey(out, key)
  return readKey(out.bytes, 1, out.length, kind)
}
const anyString = fc.string({ unit: "grapheme", maxLength: 60 })
const anyBigint = fc.oneof(
  fc.bigInt(),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n })
)
const sign = (order: number) => Math.sign(order)
const jsOrder = <A extends number | bigint>(a: A, b: A) => (a < b ? -1 : a > b ? 1 : 0)

describe("keys", () => {
  test("come back as they were", () => {
    fc.assert(
      fc.property(fc.oneof(anyString, fc.double(), anyBigint), key => {
        expect(roundTrip(key)).toEqual(key === 0 ? 0 : key)
      })
    )
    for (const key of ["", "\ufeffmark", "x".repeat(1000), "💶", 0, -0, Number.MAX_VALUE, 0n, -1n, 255n, 256n, -256n])
      expect(roundTrip(key)).toEqual(key === 0 ? 0 : key)
  })

  test("numbers sort as bytes like they do as numbers", () => {
    const anyNumber = fc.oneof(fc.double({ noNaN: true }), fc.integer({ min: -3, max: 3 }))
    fc.assert(
      fc.property(anyNumber, anyNumber, (a, b) => {
        expect(sign(compareBytes(encode(a), encode(b)))).toBe(jsOrder(a, b))
      })
    )
  })

  test("bigints sort as bytes like they do as numbers", () => {
    fc.assert(
      fc.property(anyBigint, anyBigint, (a, b) => {
        expect(sign(compareBytes(encode(a), encode(b)))).toBe(jsOrder(a, b))
      })
    )
  })

  test("a string is its UTF-8", () => {
    fc.assert(fc.property(anyString, key => expect(encode(key)).toEqual(new TextEncoder().encode(key))))
  })

  test("what can be no key is refused by name", () => {
    const head = keyBy(() => undefined as never, keyed(), { next: () => {}, watermark: () => {} })
    expect(() => head.next({}, 0)).toThrow(KeyError)
    expect(() => head.next({}, 0)).toThrow("undefined")
    expect(() => encode(2n ** 1016n)).toThrow(KeyError)
    expect(roundTrip(2n ** 1016n - 1n)).toBe(2n ** 1016n - 1n)
  })

  test("a field's bytes and the string of the field are the same key", () => {
    const bytes = new TextEncoder().encode("..Zoë..")
    const key = keyed()
    const seen: unknown[] = []
    const place = { bytes: new Uint8Array(0) }
    const span = { start: () => 2, end: () => bytes.length - 2 }
    const look = () => seen.push([key.kind, key.bytes.slice(key.start, key.end)])
    const output = { next: look, watermark: (w: number) => seen.push(w) }
    const head = keyByField(span, place, key, output)
    place.bytes = bytes
    head.next({}, 1)
    keyBy(() => "Zoë", key, output).next({}, 1)
    head.watermark(4)
    expect(seen).toEqual([[STRING_KEY, encode("Zoë")], [STRING_KEY, encode("Zoë")], 4])
  })
})
