import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ByteWriter, GridWindow, keyBy, keyed, MemorySpill, PartitionState } from "@headrace/core"
import { LogError } from "@headrace/engine"
import { Cells } from "../../core/src/state/cells.ts"
import { json } from "../../core/test/json.ts"
import { StateMemory } from "../../engine/src/task/memory.ts"
import { SqliteSpill } from "../src/index.ts"

const directory = mkdtempSync(join(tmpdir(), "headrace-memory-"))
afterAll(() => rmSync(directory, { recursive: true }))

/** A window over keys, with its state under a bound. */
const bounded = (boundBytes: number, onFull: "wait" | "stop" = "wait", maxPages?: number) => {
  const key = keyed()
  const seen: unknown[] = []
  const window = new GridWindow({
    id: "w",
    assigner: { kind: "tumbling", sizeMs: 1000, offsetMs: 0 },
    allowedLatenessMs: 0,
    aggregates: { n: { kind: "count" } },
    key,
    output: { next: record => seen.push(record), watermark: () => {} },
    late: undefined
  })
  const state = new PartitionState([window])
  const stores: SqliteSpill[] = []
  const open = () => {
    stores.push(new SqliteSpill(directory, maxPages))
    return stores.at(-1)!
  }
  const memory = new StateMemory({ boundBytes, drainedAtOnce: 64, onFull, open })
  return {
    memory,
    state,
    window,
    seen,
    stores,
    resident: memory.admit(state),
    head: keyBy((i: number) => `key-${i}`, key, window)
  }
}

const BATCH = 100
const COMMIT = 500

/** Batches, each tenth of which ends a transaction; answers with the most memory that state took behind one. */
const feed = (one: ReturnType<typeof bounded>, count: number): number => {
  const out = new ByteWriter(1 << 16)
  let most = 0
  for (let i = 0; i < count; i++) {
    one.head.next(i as never, 5)
    if (i % BATCH === BATCH - 1) one.memory.relieve()
    if (i % COMMIT !== COMMIT - 1) continue
    out.clear()
    one.state.delta(out)
    one.memory.sealed()
    most = Math.max(most, one.memory.size().bytes)
  }
  return most
}

describe("the memory of a lane's state", () => {
  test("stays below its bound, however many keys there are, and every one of them counts", () => {
    const one = bounded(1_000_000)
    expect(feed(one, 50_000)).toBeLessThan(1_000_000)
    expect(one.memory.size()).toMatchObject({ keys: 50_000 })
    expect(one.memory.size().spilledKeys).toBeGreaterThan(40_000)
    one.head.watermark(2000)
    expect(one.seen.length).toBe(50_000)
    expect(one.seen.slice(0, 2)).toMatchObject([
      { key: "key-0", n: 1 },
      { key: "key-1", n: 1 }
    ])
  })

  test("leaves it in slices, however many entries a key has", () => {
    const map = new Cells<unknown>({ id: "map", handle: 1, codec: json, timed: false })
    let put = 0
    class Counting extends MemorySpill {
      override put(key: Uint8Array, value: Uint8Array): void {
        put++
        super.put(key, value)
      }
    }
    const memory = new StateMemory({
      ...{ boundBytes: 1_000_000, drainedAtOnce: 100, onFull: "wait" },
      open: () => new Counting()
    })
    memory.admit(map)
    for (let key = 0; key < 200; key++)
      for (let sub = 0; sub < 50; sub++) map.put(`key-${key}`, sub, "value", Number.POSITIVE_INFINITY)
    memory.relieve()
    map.delta(new ByteWriter(1 << 16))
    memory.sealed()
    expect(memory.overfull).toBe(true)
    const slices = [put]
    while (memory.overfull && memory.draining) {
      const before = put
      memory.relieve()
      slices.push(put - before)
    }
    // A slice ends with a key.
    expect(Math.max(...slices)).toBeLessThanOrEqual(150)
    expect(memory.overfull).toBe(false)
    expect(memory.size().bytes).toBeLessThanOrEqual(1_000_000)
  })

  test("opens no file while all of it fits", () => {
    const one = bounded(100_000_000)
    feed(one, 5_000)
    expect(one.stores).toEqual([])
    expect(one.memory.size().spilledKeys).toBe(0)
  })

  test("whose disk is full ends the lane, or the job, as the policy says", () => {
    const failure = (onFull: "wait" | "stop"): unknown => {
      try {
        feed(bounded(100_000, onFull, 64), 50_000)
        return undefined
      } catch (error) {
        return error
      }
    }
    expect(failure("wait")).toBeInstanceOf(LogError)
    expect(failure("wait")).toMatchObject({ failure: "Gone" })
    expect(failure("stop")).toMatchObject({ failure: "Stop" })
    expect(String(failure("stop"))).toContain(
      "database or disk is full. Make room there, put state.directory on a larger"
    )
  })

  test("gives its files back with the partition, and all of them with the lane", () => {
    const one = bounded(1_000)
    feed(one, 1_000)
    one.resident.leave()
    expect(() => one.stores[0]!.get(new Uint8Array(1))).toThrow("Cannot spill")
    expect(one.memory.size().bytes).toBe(0)
    const other = bounded(1_000)
    feed(other, 1_000)
    other.memory.close()
    expect(() => other.stores[0]!.get(new Uint8Array(1))).toThrow("Cannot spill")
  })
})
