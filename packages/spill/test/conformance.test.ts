import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compareBytes, MemorySpill, SpillError, type SpillStore } from "@headrace/core"
import fc from "fast-check"
import { SqliteSpill } from "../src/index.ts"

const directory = mkdtempSync(join(tmpdir(), "headrace-spill-"))
afterAll(() => rmSync(directory, { recursive: true }))

const IMPLEMENTATIONS: readonly (readonly [string, () => SpillStore])[] = [
  ["in memory", () => new MemorySpill()],
  ["in SQLite", () => new SqliteSpill(directory)]
]

/** Few bytes, the greatest among them: keys that begin alike, and prefixes behind which there is nothing. */
const anyKey = fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 4 }).map(bytes => Uint8Array.from(bytes))
type Call =
  | { readonly do: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly do: "get"; readonly key: Uint8Array }
  | { readonly do: "delete"; readonly key: Uint8Array }
  | { readonly do: "scan"; readonly key: Uint8Array; readonly limit: number }
  | { readonly do: "deletePrefix"; readonly key: Uint8Array; readonly limit: number }
  | { readonly do: "scanFrom"; readonly key: Uint8Array; readonly more: Uint8Array; readonly limit: number }
const anyCall: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ do: fc.constant("put" as const), key: anyKey, value: fc.uint8Array({ maxLength: 5 }) }),
  fc.record({ do: fc.constant("get" as const), key: anyKey }),
  fc.record({ do: fc.constant("delete" as const), key: anyKey }),
  fc.record({ do: fc.constant("scan" as const), key: anyKey, limit: fc.nat(3) }),
  fc.record({ do: fc.constant("deletePrefix" as const), key: anyKey, limit: fc.nat(3) }),
  fc.record({ do: fc.constant("scanFrom" as const), key: anyKey, more: anyKey, limit: fc.nat(3) })
)

/** The naive one: a list. */
class Model {
  entries: (readonly [Uint8Array, Uint8Array])[] = []

  call(call: Call): unknown {
    const same = (key: Uint8Array) => compareBytes(key, call.key) === 0
    const starts = (key: Uint8Array) => compareBytes(key.subarray(0, call.key.length), call.key) === 0
    const sorted = this.entries.toSorted(([a], [b]) => compareBytes(a, b))
    const value = this.entries.find(([key]) => same(key))?.[1]
    if (call.do === "get") return value
    if (call.do === "scan") return sorted.filter(([key]) => starts(key)).slice(0, call.limit)
    if (call.do === "scanFrom") {
      const from = Uint8Array.of(...call.key, ...call.more)
      return sorted.filter(([key]) => starts(key) && compareBytes(key, from) >= 0).slice(0, call.limit)
    }
    if (call.do === "put" || call.do === "delete") {
      this.entries = this.entries.filter(([key]) => !same(key))
      if (call.do === "put") this.entries.push([call.key, call.value])
      return undefined
    }
    const gone = sorted.filter(([key]) => starts(key)).slice(0, call.limit)
    this.entries = this.entries.filter(entry => !gone.includes(entry))
    return gone.length
  }
}

const callOf = (store: SpillStore, call: Call): unknown => {
  if (call.do === "put") return store.put(call.key, call.value)
  if (call.do === "get") return store.get(call.key)
  if (call.do === "delete") return store.delete(call.key)
  if (call.do === "scan") return store.scan(call.key, call.key, call.limit)
  if (call.do === "scanFrom") return store.scan(call.key, Uint8Array.of(...call.key, ...call.more), call.limit)
  return store.deletePrefix(call.key, call.limit)
}

for (const [name, open] of IMPLEMENTATIONS) {
  describe(`a spill store ${name}`, () => {
    test("does what the model does", () => {
      fc.assert(
        fc.property(fc.array(anyCall, { maxLength: 40 }), calls => {
          const store = open()
          const model = new Model()
          for (const call of calls) expect(callOf(store, call)).toEqual(model.call(call))
          store.close()
        })
      )
    })

    test("copies what it is given, and hands out copies", () => {
      const store = open()
      const key = Uint8Array.of(1)
      const value = Uint8Array.of(2)
      store.put(key, value)
      const got = store.get(Uint8Array.of(1))
      key[0] = value[0] = 9
      store.put(Uint8Array.of(1), Uint8Array.of(3))
      expect(got).toEqual(Uint8Array.of(2))
      expect(store.get(Uint8Array.of(1))).toEqual(Uint8Array.of(3))
      store.close()
    })
  })
}

describe("the file", () => {
  test("has no name: whatever ends the process, nothing is left behind", () => {
    const store = new SqliteSpill(directory)
    store.put(Uint8Array.of(1), new Uint8Array(100_000))
    expect(readdirSync(directory)).toEqual([])
    store.close()
  })

  test("that the disk has no room for is an error that says where, and what to do", () => {
    const store = new SqliteSpill(directory, 16)
    const fill = () => {
      for (let i = 0; i < 256; i++) store.put(Uint8Array.of(i), new Uint8Array(10_000))
    }
    expect(fill).toThrow(SpillError)
    expect(fill).toThrow(`Cannot spill state to ${directory}: database or disk is full. Make room there`)
    store.close()
  })

  test("cannot be made where there is no directory", () => {
    expect(() => new SqliteSpill(join(directory, "missing"))).toThrow(SpillError)
  })
})
