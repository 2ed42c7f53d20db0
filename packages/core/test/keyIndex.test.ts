import { expect, test } from "bun:test"
import fc from "fast-check"
import { ByteWriter } from "../src/bytes.ts"
import { type Key, writeKey } from "../src/key.ts"
import { KeyArena } from "../src/state/keyArena.ts"
import { KeyIndex } from "../src/state/keyIndex.ts"

/** Some are the same bytes in another kind, some are long enough for the arena to be made anew. */
const anyKey = fc.oneof(fc.constantFrom<Key[]>("", "a", "ä", "x".repeat(300)), fc.nat(200).map(String), fc.nat(50))

test("keys that come and go are found by a map's slots", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyKey, fc.boolean()), { minLength: 100, maxLength: 1_000 }), steps => {
      const keys = new KeyArena()
      const index = new KeyIndex(keys)
      const known = new Map<Key, number>()
      const out = new ByteWriter(16)
      const find = (key: Key): number => {
        out.clear()
        const kind = writeKey(out, key)
        return index.find(kind, out.bytes, 0, out.length)
      }
      for (const [key, stays] of steps) {
        const slot = find(key)
        expect(slot).toBe(known.get(key) ?? -1)
        if (slot < 0) {
          out.clear()
          const added = keys.add(writeKey(out, key), out.bytes, 0, out.length)
          index.add(added)
          known.set(key, added)
        } else if (!stays) {
          index.remove(slot)
          keys.remove(slot)
          known.delete(key)
        }
      }
      expect(keys.count).toBe(known.size)
      for (const [key, slot] of known) expect([find(key), keys.keyOf(slot)]).toEqual([slot, key])
      for (const slot of known.values()) {
        const guessed = index.guess(keys.bytes, keys.startOf(slot), keys.endOf(slot))
        // Keys of the same bytes in another kind have the same hash.
        expect(String(keys.keyOf(guessed))).toBe(String(keys.keyOf(slot)))
      }
      // What has gone leaves its slot to the next one.
      expect(keys.slots).toBeLessThanOrEqual(steps.length)
      for (const [key, slot] of known) {
        expect(find(key)).toBe(slot)
        index.remove(slot)
        keys.remove(slot)
      }
      expect(keys.count).toBe(0)
    }),
    { numRuns: 100 }
  )
})

test("keys of one length that come and go need no more bytes than there are at a time", () => {
  const keys = new KeyArena()
  const out = new ByteWriter(16)
  const add = (key: string): number => {
    out.clear()
    return keys.add(writeKey(out, key), out.bytes, 0, out.length)
  }
  const slots = Array.from({ length: 10 }, (_, i) => add(`key ${100_000 + i}`))
  const { bytes } = keys
  for (let i = 10; i < 10_000; i++) {
    keys.remove(slots[i % 10]!)
    slots[i % 10] = add(`key ${100_000 + i}`)
  }
  expect(keys.bytes).toBe(bytes)
  expect(slots.map(slot => keys.keyOf(slot))).toEqual(Array.from({ length: 10 }, (_, i) => `key ${109_990 + i}`))
})
