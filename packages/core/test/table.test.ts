import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { hashBytes, Table } from "../src/state/table.ts"

const anyBytes = fc.uint8Array({ maxLength: 40 })
const hashes = [
  ["its own hash", hashBytes],
  ["every key colliding", () => 7],
  [
    "hashes that wrap around the end",
    (bytes: Uint8Array, start: number, end: number) => (end > start ? -1 - (bytes[start]! & 1) : -1)
  ]
] as const

const keyOf = (table: Table, slot: number) => table.keys.slice(table.offsets[slot]!, table.offsets[slot + 1]!)

describe("table", () => {
  for (const [name, hash] of hashes) {
    test(`agrees with a Map: ${name}`, () => {
      fc.assert(
        fc.property(fc.array(anyBytes, { maxLength: 120 }), keys => {
          const table = new Table(1, 1, hash)
          const model = new Map<string, number>()
          for (const key of keys) {
            const padded = Uint8Array.of(255, ...key, 255)
            const slot = table.upsert(padded, 1, key.length + 1)
            const seen = model.get(key.join()) ?? model.size
            expect(slot).toBe(seen)
            model.set(key.join(), seen)
            table.rows[slot * table.stride + 1]! += 1
          }
          expect(table.count).toBe(model.size)
          for (const key of keys) {
            const slot = model.get(key.join())!
            expect(table.find(key, 0, key.length)).toBe(slot)
            expect(keyOf(table, slot)).toEqual(key)
            expect(table.rows[slot * table.stride + 1]).toBe(keys.filter(one => one.join() === key.join()).length)
          }
        })
      )
    })

    test(`finds nothing that was not put: ${name}`, () => {
      fc.assert(
        fc.property(fc.uniqueArray(anyBytes, { minLength: 1, maxLength: 50, selector: key => key.join() }), keys => {
          const table = new Table(0, 4, hash)
          const [absent, ...present] = keys
          for (const key of present) table.upsert(key, 0, key.length)
          expect(table.find(absent!, 0, absent!.length)).toBe(-1)
        })
      )
    })
  }

  test("holds the empty key and one of 100,000 bytes", () => {
    const table = new Table(1)
    const long = new Uint8Array(100_000).fill(9)
    expect(table.upsert(long, 0, 0)).toBe(0)
    expect(table.upsert(long, 0, long.length)).toBe(1)
    expect(table.upsert(long, 0, long.length - 1)).toBe(2)
    expect(table.find(long, 0, long.length)).toBe(1)
    expect(table.find(long, 5, 5)).toBe(0)
  })

  test("keys that share their beginning spread well", () => {
    const seen = new Set<number>()
    const text = new TextEncoder()
    for (let i = 0; i < 65_536; i++) {
      const key = text.encode(`account-${i}`)
      seen.add(hashBytes(key, 0, key.length) & 0xffff)
    }
    // A random function hits 1 − 1/e of the places.
    expect(seen.size).toBeGreaterThan(0.62 * 65_536)
  })

  test("a slot is dirty once for each epoch", () => {
    const table = new Table(0)
    const slots = Array.from({ length: 50 }, (_, i) => table.upsert(Uint8Array.of(i), 0, 1))
    for (const slot of [...slots, ...slots]) table.touch(slot, 1)
    expect(Array.from(table.dirty.subarray(0, table.dirtyCount))).toEqual(slots)
    table.clean()
    table.touch(3, 2)
    expect(Array.from(table.dirty.subarray(0, table.dirtyCount))).toEqual([3])
  })
})
