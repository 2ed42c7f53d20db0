import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { ByteWriter } from "../src/bytes.ts"
import { blockOf, type Entry, entriesIn } from "../src/state/block.ts"
import {
  beginPut,
  beginTombstone,
  ChangeReader,
  PREFIX_TOMBSTONE,
  PUT,
  TOMBSTONE,
  writePrefixTombstone,
  writePut,
  writeTombstone
} from "../src/state/changes.ts"
import { StateError } from "../src/state/error.ts"
import { ChangeSet } from "../src/state/merge.ts"
import { ValueReader, writeNumber } from "../src/state/number.ts"
import { compareBytes } from "../src/state/order.ts"

interface Change {
  readonly kind: number
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** Few different bytes, so that keys meet and prefixes match. */
const anyKey = fc.array(fc.constantFrom(0, 1, 127, 128, 255), { maxLength: 4 }).map(bytes => Uint8Array.from(bytes))
const anyChange: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom(PUT, PUT, PUT, TOMBSTONE, PREFIX_TOMBSTONE),
  key: anyKey,
  value: fc.uint8Array({ maxLength: 200 })
})
const anyLog = fc.array(fc.array(anyChange, { maxLength: 12 }), { maxLength: 6 })

const writer = (bytes: Uint8Array): ByteWriter => {
  const out = new ByteWriter(bytes.length)
  out.copy(bytes, 0, bytes.length)
  return out
}

const encode = (changes: readonly Change[]): Uint8Array => {
  const out = new ByteWriter(1)
  for (const { kind, key, value } of changes) {
    if (kind === PUT) writePut(out, writer(key), writer(value))
    else if (kind === TOMBSTONE) writeTombstone(out, writer(key))
    else writePrefixTombstone(out, writer(key))
  }
  return out.written().slice()
}

const decode = (bytes: Uint8Array): Change[] => {
  const changes: Change[] = []
  for (const reader = new ChangeReader(bytes); reader.next(); ) {
    const value = (reader.value() ?? new Uint8Array(0)).slice()
    changes.push({ kind: reader.kind, key: reader.key().slice(), value })
  }
  return changes
}

/** The naive model: all entries in a list, changed one by one. */
const replay = (entries: readonly Entry[], changes: readonly Change[]): Entry[] => {
  let state = [...entries]
  for (const { kind, key, value } of changes) {
    const gone = (other: Uint8Array) =>
      kind === PREFIX_TOMBSTONE
        ? compareBytes(other.subarray(0, key.length), key) === 0
        : compareBytes(other, key) === 0
    state = state.filter(([other]) => !gone(other))
    if (kind === PUT) state.push([key, value])
  }
  return state.sort(([a], [b]) => compareBytes(a, b))
}

const merge = (checkpoint: readonly Entry[], log: readonly (readonly Change[])[]): Entry[] => {
  const set = new ChangeSet()
  for (const changes of log) set.add(encode(changes))
  const merging = set.merging()
  const half = checkpoint.length >> 1
  const blocks = [checkpoint.slice(0, half), checkpoint.slice(half)].map(blockOf)
  return [...blocks.flatMap(block => [...entriesIn(merging.through(block))]), ...merging.rest()]
}

test("changes whose lengths are written behind their bytes are the same as those that were made before", () => {
  for (const size of [0, 1, 127, 128, 129, 16_383, 16_384, 100_000])
    for (const capacity of [1, 1 << 18]) {
      const [key, value] = [writer(new Uint8Array(size).fill(7)), writer(new Uint8Array(size).fill(9))]
      const [made, begun] = [new ByteWriter(capacity), new ByteWriter(capacity)]
      writePut(made, key, value)
      writeTombstone(made, key)
      const putKey = beginPut(begun)
      begun.copy(key.bytes, 0, size)
      begun.close(putKey)
      const putValue = begun.open()
      begun.copy(value.bytes, 0, size)
      begun.close(putValue)
      const goneKey = beginTombstone(begun)
      begun.copy(key.bytes, 0, size)
      begun.close(goneKey)
      expect(Buffer.from(begun.written()).equals(made.written())).toBe(true)
    }
})

describe("changes", () => {
  test("are read as they were written", () => {
    fc.assert(
      fc.property(fc.array(anyChange), changes => {
        const expected = changes.map(one => (one.kind === PUT ? one : { ...one, value: new Uint8Array(0) }))
        expect(decode(encode(changes))).toEqual(expected)
      })
    )
  })

  test("cut short or damaged, they are refused or end early, never read beyond the range", () => {
    fc.assert(
      fc.property(
        fc.array(anyChange, { minLength: 1 }),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        (changes, cut, at, byte) => {
          const bytes = encode(changes)
          const end = cut % bytes.length
          bytes[at % bytes.length] = byte
          const reader = new ChangeReader(bytes, 0, end)
          try {
            while (reader.next()) expect(Math.max(reader.keyEnd, reader.valueEnd)).toBeLessThanOrEqual(end)
          } catch (error) {
            expect(error).toBeInstanceOf(StateError)
            expect((error as StateError).reason).toBe("Damaged")
          }
        }
      )
    )
  })

  test("every proper prefix that ends inside a change is refused", () => {
    const bytes = encode([{ kind: PUT, key: Uint8Array.of(1, 2), value: new Uint8Array(300) }])
    for (let end = 1; end < bytes.length; end++) expect(() => decode(bytes.subarray(0, end))).toThrow(StateError)
  })
})

describe("merge", () => {
  test("of a checkpoint and the changes since is what replaying them gives", () => {
    fc.assert(
      fc.property(anyLog, anyLog, (before, since) => {
        const checkpoint = merge([], before)
        expect(checkpoint).toEqual(replay([], before.flat()))
        expect(merge(checkpoint, since)).toEqual(replay(checkpoint, since.flat()))
      })
    )
  })

  test("does no harm when the changes are applied twice", () => {
    fc.assert(
      fc.property(anyLog, log => {
        const once = merge([], log)
        expect(merge(once, log)).toEqual(once)
        expect(merge([], [...log, ...log])).toEqual(once)
      })
    )
  })

  test("takes keys of any length", () => {
    const key = new Uint8Array(20_000).map((_, i) => i % 251)
    const put = { kind: PUT, key, value: Uint8Array.of(1) }
    const drop = { kind: PREFIX_TOMBSTONE, key: key.subarray(0, 9000), value: new Uint8Array(0) }
    expect(merge([], [[put]])).toEqual([[key, put.value]])
    expect(merge([[key, put.value]], [[drop]])).toEqual([])
  })

  test("leaves a block alone of which nothing changed", () => {
    const entry = (key: number): Entry => [Uint8Array.of(key), Uint8Array.of(key)]
    const put = { kind: PUT, key: Uint8Array.of(4), value: Uint8Array.of(0) }
    const set = new ChangeSet()
    set.add(encode([put]))
    const merging = set.merging()
    const blocks = [blockOf([entry(1), entry(2)]), blockOf([entry(3), entry(5)]), blockOf([entry(6)])]
    const after = blocks.map(block => merging.through(block))
    expect(after.map((block, i) => block === blocks[i])).toEqual([true, false, true])
    expect([...entriesIn(after[1]!)]).toEqual([entry(3), [put.key, put.value], entry(5)])
  })

  test("refuses a checkpoint that is not sorted", () => {
    const entry = (key: number): Entry => [Uint8Array.of(key), new Uint8Array(0)]
    expect(() => merge([entry(2), entry(1)], [])).toThrow(StateError)
    expect(() => merge([entry(1), entry(1)], [])).toThrow(StateError)
  })
})

describe("numbers in state", () => {
  test("come back bit by bit", () => {
    const anyNumber = fc.oneof(
      fc.double(),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.constantFrom(-0, 2 ** 50, -(2 ** 50), 2 ** 50 + 1)
    )
    fc.assert(
      fc.property(fc.array(anyNumber), numbers => {
        const out = new ByteWriter(1)
        for (const one of numbers) writeNumber(out, one)
        const reader = new ValueReader()
        reader.reset(out.written())
        for (const one of numbers) expect(Object.is(reader.number(), one)).toBe(true)
        reader.end()
        expect(() => reader.number()).toThrow(StateError)
      })
    )
  })
})
