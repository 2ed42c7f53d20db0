import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { ByteWriter } from "../src/bytes.ts"
import type { ValueCodec } from "../src/codec.ts"
import type { Key } from "../src/key.ts"
import { blockOf, type Entry, EntryReader, entriesIn } from "../src/state/block.ts"
import { type BlockIndex, IndexWriter, indexedBlock } from "../src/state/blockIndex.ts"
import type { Cell } from "../src/state/cell.ts"
import { CellEntries } from "../src/state/cellEntries.ts"
import { StateError } from "../src/state/error.ts"
import { compareBytes, HANDLE_BYTES } from "../src/state/order.ts"
import { RestoredCells } from "../src/state/restoredCells.ts"
import { blocksOf } from "./harness.ts"

const bytesCodec: ValueCodec<Uint8Array> = {
  write: (value, out) => out.copy(value, 0, value.length),
  read: (bytes, start, end) => bytes.slice(start, end)
}

const entriesOf = (timed: boolean) => new CellEntries({ id: "op", handle: 4, codec: bytesCodec, timed })

type Row = readonly Cell<Uint8Array>[]

interface Stored {
  readonly size: number
  readonly indexed: boolean
}

const restored = (rows: readonly Row[], timed: boolean, { size, indexed }: Stored): RestoredCells<Uint8Array> => {
  const cells = new RestoredCells(entriesOf(timed))
  const reader = new EntryReader()
  for (const block of blocksOf(entriesIn(written(rows, timed)), size)) {
    const { bytes, index } = indexed ? indexedBlock(withIndex(block)) : { bytes: block }
    reader.reset(bytes, 0, bytes.length, index)
    reader.begin()
    cells.add(reader)
    expect(reader.begin()).toBe(false)
    // What was given is done with.
    bytes.fill(255)
  }
  return cells
}

/** As a file has it. */
const withIndex = (block: Uint8Array): Uint8Array => {
  const out = new ByteWriter(16)
  out.copy(block, 0, block.length)
  new IndexWriter().append(out, 0)
  return out.written()
}

/** As a checkpoint has them: in the order of their keys as bytes. */
const written = (rows: readonly Row[], timed: boolean): Uint8Array => {
  const entries = entriesOf(timed)
  const all = rows.flat().map((cell): Entry => {
    entries.write(cell)
    return [entries.key.written().slice(), entries.value.written().slice()]
  })
  return blockOf(inOrder(all))
}

const inOrder = (entries: Iterable<Entry>): Entry[] => [...entries].sort(([a], [b]) => compareBytes(a, b))

/** The entry of a row that is one. */
const rangeOf = (row: Row): EntryReader => {
  const reader = new EntryReader()
  reader.reset(written([row], false))
  reader.next()
  return reader
}

const cellOf = (key: Key, sub: Key | undefined, due: number, order: number): Cell<Uint8Array> => {
  const value = new Uint8Array(order % 4).fill(order)
  return { key, sub, value, due, order, place: -1, logged: true, removed: false, bytes: value.length }
}

const anyKey = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 40 }).map(i => `key-${i}`),
  fc.constantFrom("", "a", "k".repeat(130), "k".repeat(131), `${"k".repeat(130)}l`)
)
const anyDue = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Number.POSITIVE_INFINITY))
const anySub = fc.tuple(fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }), anyDue)
const anySubs = fc.uniqueArray(anySub, { selector: ([sub]) => sub, minLength: 1 })

/** What each key has; of what is never due without times and orders. */
const anyRows = (timed: boolean) =>
  fc.uniqueArray(fc.tuple(anyKey, anySubs), { selector: ([key]) => key, maxLength: 60 }).map(rows => {
    let order = 0
    const never = Number.POSITIVE_INFINITY
    return rows.map(
      ([key, subs]): Row => subs.map(([sub, due]) => cellOf(key, sub, timed ? due : never, timed ? order++ : 0))
    )
  })

/** The same whatever the order in which they come. */
const sorted = (cells: Iterable<Cell<Uint8Array>>) =>
  Array.from(cells, cell => JSON.stringify({ ...cell, value: [...cell.value] })).sort()

type Turn =
  | { readonly take: Key }
  | { readonly put: Key; readonly size: number }
  | { readonly remove: Key }
  | { readonly watermark: number }
  | "first"
const anyTurn = fc.oneof(
  anyKey.map((take): Turn => ({ take })),
  fc.tuple(anyKey, fc.nat(9)).map(([put, size]): Turn => ({ put, size })),
  anyKey.map((remove): Turn => ({ remove })),
  fc.integer({ min: 0, max: 25 }).map((watermark): Turn => ({ watermark })),
  fc.constant<Turn>("first")
)

describe("restored cells", () => {
  test.each([true, false])("leave each once, and all that a key has together (with times: %p)", timed => {
    fc.assert(
      fc.property(
        anyRows(timed),
        fc.record({ size: fc.integer({ min: 1, max: 200 }), indexed: fc.boolean() }),
        fc.array(anyTurn, { maxLength: 100 }),
        (rows, stored, turns) => {
          let left = rows
          const cells = restored(rows, timed, stored)
          expect(cells.rows).toBe(rows.length)
          expect(cells.orders).toBe(timed ? rows.flat().length : 0)
          const expectTaken = (taken: Row, keys: readonly Key[]) => {
            expect(sorted(taken)).toEqual(sorted(left.filter(([one]) => keys.includes(one!.key)).flat()))
            left = left.filter(([one]) => !keys.includes(one!.key))
          }
          for (const turn of turns) {
            if (typeof turn === "object" && "take" in turn) expectTaken(cells.take(turn.take), [turn.take])
            else if (typeof turn === "object" && !("watermark" in turn)) {
              const key = "put" in turn ? turn.put : turn.remove
              // What is due, or beside others, does not come like that.
              if (timed || left.some(row => row[0]!.key === key && row.some(({ sub }) => sub !== undefined))) continue
              const bytes = "put" in turn ? turn.size : 0
              const cell = cellOf(key, undefined, Number.POSITIVE_INFINITY, 0)
              const row = [{ ...cell, value: new Uint8Array(bytes).fill(7), bytes }]
              const change = rangeOf(row)
              left = left.filter(([one]) => one!.key !== key)
              if ("put" in turn) left = [...left, row]
              if ("put" in turn) cells.put(change)
              else cells.remove(change)
            } else if (turn === "first") {
              if (left.length === 0) continue
              const taken = cells.takeFirst()
              expectTaken(taken, [taken[0]!.key])
            } else {
              const isDue = timed && left.flat().some(({ due }) => due <= turn.watermark)
              expect(cells.isDue(turn.watermark)).toBe(isDue)
              if (!isDue) continue
              const first = Math.min(...left.flat().map(({ due }) => due))
              const taken = cells.takeDue()
              expect(taken.some(({ due }) => due === first)).toBe(true)
              expectTaken(
                taken,
                taken.map(({ key }) => key)
              )
            }
            expect(cells.rows).toBe(left.length)
            expect(blockOf(inOrder(cells.all()))).toEqual(written(left, timed))
          }
        }
      ),
      { numRuns: 300 }
    )
  })

  test.each([true, false])("hold on to twice what is left of them at most (indexed: %p)", indexed => {
    const rows = Array.from({ length: 5_000 }, (_, i): Row => [cellOf(`k-${10_000 + i}`, undefined, 0, 3)])
    const cells = restored(rows, false, { size: 300, indexed })
    const none = new RestoredCells(entriesOf(false)).bytes
    const all = cells.bytes - none
    let left = rows.length
    // Of each hundred one stays.
    const stays = rows.filter((_, i) => i % 100 === 50)
    for (const row of rows) {
      if (stays.includes(row)) continue
      left -= cells.take(row[0]!.key).length
      expect(cells.bytes - none).toBeLessThanOrEqual(Math.ceil((2 * all * (left + 1)) / rows.length))
    }
    expect([...cells.all()]).toEqual([...entriesIn(written(stays, false))])
    while (cells.rows > 0) cells.takeFirst()
    expect(cells.bytes).toBe(none)
  })

  test("hold on to what was put in place of others no longer than to twice the last ones", () => {
    const cells = new RestoredCells(entriesOf(false))
    for (let i = 0; i < 20_000; i++) cells.put(rangeOf([cellOf(i % 100, undefined, 0, i & 3)]))
    expect(cells.rows).toBe(100)
    expect(cells.bytes).toBeLessThan(150_000)
    expect([...cells.all()].length).toBe(100)
  })

  test("are refused out of order, twice, and where a key ends early", () => {
    const [a, b] = ["a", "b"].map(key => [...entriesIn(written([[cellOf(key, undefined, 0, 1)]], false))][0]!)
    const add = (entries: readonly Entry[], size: number) => {
      const cells = new RestoredCells(entriesOf(false))
      const reader = new EntryReader()
      for (const block of blocksOf(entries, size)) {
        reader.reset(block)
        cells.add(reader)
      }
    }
    add([a!, b!], 1)
    expect(() => add([b!, a!], 2)).toThrow(StateError)
    expect(() => add([b!, a!], 1)).toThrow(StateError)
    expect(() => add([a!, a!], 1)).toThrow(StateError)
    expect(() => add([[a![0].subarray(0, -1), new Uint8Array(1)]], 1)).toThrow(StateError)
  })
})

describe("indexes of blocks", () => {
  const entries = ["a", "b", "c"].map(key => [...entriesIn(written([[cellOf(key, undefined, 0, 1)]], false))][0]!)
  const stored = withIndex(blockOf(entries))
  const add = (index: BlockIndex, bytes = blockOf(entries)) => {
    const cells = new RestoredCells(entriesOf(false))
    const reader = new EntryReader()
    reader.reset(bytes, 0, bytes.length, index)
    reader.begin()
    cells.add(reader)
    return { cells, reader }
  }

  test("say where entries start and how many keys there are, and are not walked over", () => {
    const { bytes, index } = indexedBlock(stored)
    expect(bytes).toEqual(blockOf(entries))
    expect([...index!.starts]).toEqual([0, 1, 2].map(i => blockOf(entries.slice(0, i)).length))
    expect(index!.rows).toBe(3)
    expect(add({ ...index!, rows: 7 }).cells.rows).toBe(7)
  })

  test("count for blocks of one handle only: what follows another one's is walked over", () => {
    const other = entries[0]![0].with(HANDLE_BYTES - 1, 3)
    const bytes = blockOf([[other, new Uint8Array(1)], ...entries])
    const { index } = indexedBlock(withIndex(bytes))
    const { cells, reader } = add({ ...index!, rows: 7 }, bytes)
    expect([cells.rows, reader.count]).toEqual([1, 1])
    expect(reader.begin()).toBe(true)
    cells.add(reader)
    expect([cells.rows, reader.count]).toEqual([4, 4])
  })

  test("are refused where they do not fit, and not made of what is in no order", () => {
    const { index } = indexedBlock(stored)
    expect(() => add({ ...index!, starts: index!.starts.slice(0, 2) })).toThrow(StateError)
    expect(() => indexedBlock(stored.subarray(0, 7))).toThrow(StateError)
    expect(() => indexedBlock(blockOf(entries))).toThrow(StateError)
    expect(() => withIndex(blockOf(entries.toReversed()))).toThrow(StateError)
    const order = [entries[2]!, entries[1]!, entries[0]!]
    expect(() => add(index!, blockOf(order))).toThrow(StateError)
  })
})

describe("blocks", () => {
  const anyBytes = fc.uint8Array({ maxLength: 200 })
  test("are read as they were written", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyBytes, anyBytes)), entries => {
        expect([...entriesIn(blockOf(entries))]).toEqual(entries)
      })
    )
  })

  test("cut short or damaged, they are refused or end early, never read beyond their end", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyBytes, anyBytes), { minLength: 1 }),
        fc.nat(),
        fc.nat(),
        fc.nat(255),
        (entries, cut, at, byte) => {
          const block = blockOf(entries)
          block[at % block.length] = byte
          const reader = new EntryReader()
          const end = cut % block.length
          reader.reset(block, 0, end)
          try {
            while (reader.next()) expect(reader.valueEnd).toBeLessThanOrEqual(end)
          } catch (error) {
            expect((error as StateError).reason).toBe("Damaged")
          }
        }
      )
    )
  })
})
