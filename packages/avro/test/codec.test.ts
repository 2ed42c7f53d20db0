import { describe, expect, test } from "bun:test"
import { ByteWriter, DecodeError, type RecordDecoder } from "@headrace/core"
import avsc from "avsc"
import fc from "fast-check"
import { makeDecoder, makeEncoder } from "../src/index.ts"
import { buffers, plain, type RecordSpec, recordAndValue, toJson } from "./schemas.ts"

const ID = 0xc0ffee42

const avscOf = (type: RecordSpec) => avsc.Type.forSchema(toJson(type) as never)

/** The record framed by hand from avsc's bytes. */
const frame = (body: Uint8Array): Uint8Array => Uint8Array.from([0, 0xc0, 0xff, 0xee, 0x42, ...body])

/** The bytes in the middle of an arena whose other bytes are all `poison`. */
const inArena = (bytes: Uint8Array, poison: number): Uint8Array => {
  const arena = new Uint8Array(bytes.length + 80).fill(poison)
  arena.set(bytes, 40)
  return arena
}

const decoderOf = (type: RecordSpec) => {
  const { decoder, learn } = makeDecoder(toJson(type))
  learn(ID, toJson(type))
  return decoder
}

/** What the getters give, in the order of the fields. */
const seen = (decoder: { readonly fields: readonly string[] }, view: object): unknown =>
  plain(Object.fromEntries(decoder.fields.map(name => [name, (view as Record<string, unknown>)[name]])))

describe("a record of any schema", () => {
  test("is encoded to avsc's bytes", () => {
    fc.assert(
      fc.property(recordAndValue, ([type, value]) => {
        const out = new ByteWriter(0)
        makeEncoder(toJson(type), ID).encode(value, out)
        expect([...out.written()]).toEqual([...frame(avscOf(type).toBuffer(buffers(value)))])
      }),
      { numRuns: 1000 }
    )
  })

  test("is decoded to avsc's value, by the view as by the plain object", () => {
    fc.assert(
      fc.property(recordAndValue, ([type, value]) => {
        const body = avscOf(type).toBuffer(buffers(value))
        const decoder = decoderOf(type)
        const view = decoder.view(inArena(frame(body), 0x2a), 40, body.length + 5)
        expect(plain(decoder.materialise())).toEqual(plain(avscOf(type).fromBuffer(body)))
        expect(seen(decoder, view)).toEqual(plain(decoder.materialise()))
      }),
      { numRuns: 1000 }
    )
  })

  test("is refused with a DecodeError at each length but its own", () => {
    fc.assert(
      fc.property(recordAndValue, ([type, value]) => {
        const bytes = frame(avscOf(type).toBuffer(buffers(value)))
        const decoder = decoderOf(type)
        for (let length = 0; length < bytes.length; length++) {
          expect(reasonOf(() => decoder.view(inArena(bytes, 0), 40, length))).toBe(
            length < 5 ? "NotFramed" : "Truncated"
          )
        }
        expect(reasonOf(() => decoder.view(inArena(bytes, 0), 40, bytes.length + 1))).toBe("TrailingBytes")
      }),
      { numRuns: 300 }
    )
  })

  test("damaged in any way gives a DecodeError or a value, and never looks at its surroundings", () => {
    fc.assert(
      fc.property(
        recordAndValue,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        ([type, value], edits) => {
          const body = Uint8Array.from(avscOf(type).toBuffer(buffers(value)))
          for (const [at, byte] of edits) if (body.length > 0) body[at % body.length] = byte
          const decoder = decoderOf(type)
          const outcomes = [0, 0x7f, 0xff].map(poison => outcome(decoder, frame(body), poison))
          expect(outcomes[1]).toEqual(outcomes[0])
          expect(outcomes[2]).toEqual(outcomes[0])
        }
      ),
      { numRuns: 1000 }
    )
  })

  test("made of random bytes gives a DecodeError or a value, and never looks at its surroundings", () => {
    fc.assert(
      fc.property(recordAndValue, fc.uint8Array({ maxLength: 60 }), ([type], body) => {
        const decoder = decoderOf(type)
        const outcomes = [0, 0x7f, 0xff].map(poison => outcome(decoder, frame(body), poison))
        expect(outcomes[1]).toEqual(outcomes[0])
        expect(outcomes[2]).toEqual(outcomes[0])
      }),
      { numRuns: 1000 }
    )
  })
})

/** The reason of the DecodeError; other errors pass, and fail the test. */
const reasonOf = (run: () => unknown): string => {
  try {
    run()
    return "no error"
  } catch (error) {
    if (error instanceof DecodeError) return error.reason
    throw error
  }
}

const outcome = (decoder: RecordDecoder, bytes: Uint8Array, poison: number): unknown => {
  let view: object | undefined
  const reason = reasonOf(() => {
    view = decoder.view(inArena(bytes, poison), 40, bytes.length)
  })
  return view === undefined ? reason : [seen(decoder, view), plain(decoder.materialise())]
}
