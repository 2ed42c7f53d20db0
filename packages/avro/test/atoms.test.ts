import { describe, expect, test } from "bun:test"
import { ByteWriter, DecodeError, EncodeError } from "@headrace/core"
import fc from "fast-check"
import { type AvroJson, makeDecoder, makeEncoder } from "../src/index.ts"
import { Interner } from "../src/intern.ts"

const record = (type: unknown, more: object = {}): AvroJson => ({
  type: "record",
  name: "Payment",
  fields: [{ name: "v", type, ...more }]
})

const decoderOf = (type: unknown) => {
  const { decoder, learn } = makeDecoder(record(type))
  learn(1, record(type))
  return decoder
}

const bytesOf = (type: unknown, v: unknown): Uint8Array => {
  const out = new ByteWriter(0)
  makeEncoder(record(type), 1).encode({ v }, out)
  return out.written().slice()
}

const read = (type: unknown, body: readonly number[]): unknown => {
  const bytes = Uint8Array.of(0, 0, 0, 0, 1, ...body)
  return (decoderOf(type).view(bytes, 0, bytes.length) as { v: unknown }).v
}

const reasonOf = (run: () => unknown): string => {
  try {
    run()
    return "no error"
  } catch (error) {
    if (error instanceof DecodeError) return error.reason
    throw error
  }
}

const BIG = { type: "long", headrace: "bigint" }
const zigzag = (value: bigint): number[] => {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return [...bytes, Number(rest)]
}

describe("a long", () => {
  const anyLong = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -70000n, max: 70000n })
  )

  test("as a bigint is exact over 64 bits, both ways", () => {
    fc.assert(
      fc.property(anyLong, value => {
        expect(read(BIG, zigzag(value))).toBe(value)
        expect([...bytesOf(BIG, value).subarray(5)]).toEqual(zigzag(value))
      })
    )
  })

  test("as a number is exact within ±(2^53 - 1), both ways", () => {
    const edges = [
      0,
      63,
      64,
      -64,
      -65,
      2 ** 27,
      2 ** 28 - 1,
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 48,
      -(2 ** 49),
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER
    ]
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.constantFrom(...edges)), value => {
        expect(read("long", zigzag(BigInt(value)))).toBe(value)
        expect([...bytesOf("long", value).subarray(5)]).toEqual(zigzag(BigInt(value)))
      }),
      { numRuns: 500 }
    )
  })

  test("beyond that is OutOfRange, and as a float rounded", () => {
    for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(reasonOf(() => read("long", zigzag(value)))).toBe("OutOfRange")
    }
    expect(reasonOf(() => read("int", zigzag(2n ** 31n)))).toBe("OutOfRange")
  })

  test("of more than ten bytes or 64 bits is Invalid", () => {
    expect(reasonOf(() => read("long", new Array(12).fill(0x80)))).toBe("Invalid")
    expect(reasonOf(() => read("long", [...new Array(9).fill(0xff), 0x7f]))).toBe("Invalid")
  })
})

describe("damage", () => {
  const KIND = { type: "enum", name: "Kind", symbols: ["a", "b"] }
  const LIST = { type: "array", items: "null" }

  test.each([
    ["an enum beyond its symbols", KIND, [4], "Invalid"],
    ["a negative enum", KIND, [1], "Invalid"],
    ["a union beyond its branches", ["null", "string"], [4], "Invalid"],
    ["a negative length", "string", [1], "Invalid"],
    ["a length beyond the record", "string", [4, 97], "Truncated"],
    ["a length beyond all memory", "bytes", [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], "Truncated"],
    ["a boolean of 2", "boolean", [2], "Invalid"],
    ["more nulls than a list should hold", LIST, [0xfe, 0xff, 0xff, 0xff, 0x0f, 0], "Truncated"],
    ["a list longer than the record", { type: "array", items: "int" }, [200, 1, 2, 2], "Truncated"],
    ["something behind the record", "boolean", [1, 0], "TrailingBytes"]
  ] as const)("%s", (_, type, body, reason) => {
    expect(reasonOf(() => read(type, body))).toBe(reason)
  })

  test("a frame that is none, and an id that nobody learnt", () => {
    const decoder = decoderOf("boolean")
    expect(reasonOf(() => decoder.view(Uint8Array.of(1, 0, 0, 0, 1, 1), 0, 6))).toBe("NotFramed")
    expect(reasonOf(() => decoder.view(Uint8Array.of(0, 0, 0, 1), 0, 4))).toBe("NotFramed")
    expect(reasonOf(() => decoder.view(new Uint8Array(0), 0, 0))).toBe("NotFramed")
    expect(reasonOf(() => decoder.view(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 1), 0, 6))).toBe("UnknownSchema")
    expect(decoder.schemaId(Uint8Array.of(9, 0, 0xff, 0, 0, 2), 1, 5)).toBe(0xff000002)
    expect(decoder.schemaId(Uint8Array.of(0, 0, 0, 0, 1), 0, 4)).toBe(-1)
  })

  test("a record is read well after a damaged one", () => {
    const decoder = decoderOf("string")
    const good = bytesOf("string", "x")
    expect(reasonOf(() => decoder.view(Uint8Array.of(0, 0, 0, 0, 9, 2, 97), 0, 7))).toBe("UnknownSchema")
    expect(reasonOf(() => decoder.view(good, 0, good.length - 1))).toBe("Truncated")
    expect(decoder.view(good, 0, good.length)).toMatchObject({})
    expect(decoder.materialise()).toEqual({ v: "x" })
  })
})

describe("text", () => {
  test("of any bytes is what TextDecoder makes of them, interned or not", () => {
    const decoder = decoderOf("string")
    const plain = new TextDecoder("utf-8", { ignoreBOM: true })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), content => {
        const bytes = Uint8Array.of(0, 0, 0, 0, 1, ...zigzag(BigInt(content.length)), ...content)
        const view = decoder.view(bytes, 0, bytes.length) as { v: string }
        const [first, second] = [view.v, view.v]
        expect([first, second]).toEqual([plain.decode(content), plain.decode(content)])
      }),
      { numRuns: 2000 }
    )
  })

  test("of any code units is encoded as TextEncoder does", () => {
    const units = fc.array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd7f0, max: 0xe010 }), fc.nat(130)), {
      maxLength: 80
    })
    fc.assert(
      fc.property(units, codes => {
        const text = String.fromCharCode(...codes)
        const wanted = new TextEncoder().encode(text)
        expect([...bytesOf("string", text)]).toEqual([0, 0, 0, 0, 1, ...zigzag(BigInt(wanted.length)), ...wanted])
      }),
      { numRuns: 1000 }
    )
  })

  test("is interned right however many values collide", () => {
    const interner = new Interner()
    for (let i = 0; i < 40_000; i++) {
      const text = `account-${(i * 7919) % 9000}`
      const bytes = new TextEncoder().encode(`..${text}..`)
      expect(interner.get(bytes, 2, bytes.length - 2)).toBe(text)
    }
  })
})

describe("names that JavaScript knows better", () => {
  test("a map's __proto__ is a key like others", () => {
    const type = { type: "map", values: { type: "map", values: "int" } }
    const value = JSON.parse('{"__proto__": {"a": 1}, "constructor": {"b": 2}}')
    const { v } = { v: read(type, [...bytesOf(type, value).subarray(5)]) as object }
    expect(Object.keys(v).sort()).toEqual(["__proto__", "constructor"])
    expect(Object.getPrototypeOf(v)).toBe(Object.prototype)
  })
})

describe("what the contract promises", () => {
  test("a span is the content of a text that is always there", () => {
    const schema: AvroJson = {
      type: "record",
      name: "Payment",
      fields: [
        { name: "id", type: "string" },
        { name: "raw", type: "bytes" },
        { name: "note", type: ["null", "string"], default: null },
        { name: "cents", type: "long" }
      ]
    }
    const { decoder, learn } = makeDecoder(schema)
    learn(1, schema)
    const out = new ByteWriter()
    out.u32(7)
    makeEncoder(schema, 1).encode({ id: "p-1", raw: Uint8Array.of(8, 9), note: "n", cents: 1 }, out)
    decoder.view(out.bytes, 4, out.length - 4)
    const content = (name: string) => [...out.bytes.subarray(decoder.span(name)!.start(), decoder.span(name)!.end())]
    expect(content("id")).toEqual([...new TextEncoder().encode("p-1")])
    expect(content("raw")).toEqual([8, 9])
    expect([decoder.span("note"), decoder.span("cents"), decoder.span("nothing")]).toEqual([
      undefined,
      undefined,
      undefined
    ])
  })

  test("a view is reused, a plain object is not, and an extension sees the record with what was added", () => {
    const decoder = decoderOf("string")
    const [first, second] = [bytesOf("string", "a"), bytesOf("string", "b")]
    const extended = decoder.extended(["risk", "v2"])
    const view = decoder.view(first, 0, first.length)
    const kept = decoder.materialise()
    extended.risk = 0.5
    expect([extended.v, extended.risk, extended.v2]).toEqual(["a", 0.5, undefined])
    expect(decoder.view(second, 0, second.length)).toBe(view)
    expect([kept, extended.v]).toEqual([{ v: "a" }, "b"])
    expect({ ...kept }).toEqual({ v: "a" })
  })

  test("bytes are a copy: the arena is not the reader's", () => {
    const decoder = decoderOf("bytes")
    const arena = bytesOf("bytes", Uint8Array.of(1, 2))
    const { v } = decoder.view(arena, 0, arena.length) as { v: Uint8Array }
    arena.fill(9)
    expect([...v]).toEqual([1, 2])
  })
})

describe("a value that does not fit", () => {
  const ITEMS = { type: "array", items: { type: "record", name: "Item", fields: [{ name: "price", type: "double" }] } }

  test.each([
    ["long", "5", "Payment.v must be an integer within ±2^53 (long), but is a string"],
    ["long", 1.5, "Payment.v must be an integer within ±2^53 (long), but is a number with a fraction"],
    ["long", 2 ** 53, "Payment.v must be an integer within ±2^53 (long), but is a number beyond ±2^53"],
    ["long", 5n, "Payment.v must be an integer within ±2^53 (long), but is a bigint"],
    ["int", 2 ** 31, "Payment.v must be an integer of 32 bits (int), but is an integer beyond 32 bits"],
    ["double", undefined, "Payment.v must be a number (double), but is missing"],
    ["string", null, "Payment.v must be a string, but is null"],
    ["boolean", 1, "Payment.v must be a boolean, but is a number"],
    ["bytes", [1], "Payment.v must be a Uint8Array (bytes), but is an array"],
    [BIG, 5, "Payment.v must be a bigint of 64 bits (long), but is a number"],
    [{ type: "enum", name: "Kind", symbols: ["a", "b"] }, "c", "Payment.v must be one of a, b, but is a string"],
    [
      { type: "fixed", name: "Four", size: 4 },
      new Uint8Array(3),
      "Payment.v must be a Uint8Array of 4 bytes, but is one of 3"
    ],
    [["null", "long"], "x", "Payment.v must be one of null, long, but is a string"],
    [ITEMS, [{ price: 1 }, { price: "1" }], "Payment.v[1].price must be a number (double), but is a string"],
    [
      { type: "map", values: "int" },
      { a: 1, b: new Date() },
      "Payment.v.b must be an integer of 32 bits (int), but is a Date"
    ]
  ] as const)("%j given %p", (type, value, message) => {
    const out = new ByteWriter()
    out.u8(1)
    const encode = () => makeEncoder(record(type), 1).encode({ v: value }, out)
    expect(encode).toThrow(EncodeError)
    expect(encode).toThrow(message)
    expect(out.length).toBe(1)
  })

  test("a missing field takes its default", () => {
    const schema = record("long", { default: 7 })
    const out = new ByteWriter()
    makeEncoder(schema, 1).encode({}, out)
    expect([...out.written().subarray(5)]).toEqual([14])
  })
})
