import { expect, test } from "bun:test"
import { blockOf, type Entry, entriesIn } from "@headrace/core"
import { BlockWriter, END } from "../src/recovery/blocks.ts"
import { CheckpointReader, CheckpointWriter, isHeader } from "../src/recovery/checkpoint-file.ts"

const HEADER = { topic: "events", partition: 0, changelogOffset: 4, sourceOffset: 9 }
const BLOCK_BYTES = 200

const entry = (i: number): Entry => [Buffer.from(`key ${1000 + i}`), Buffer.from(`value ${i}`)]
const entries = (from: number, to: number): Entry[] => Array.from({ length: to - from }, (_, i) => entry(from + i))
const plain = (all: Iterable<Entry>) => Array.from(all, ([key, value]) => `${Buffer.from(key)}=${Buffer.from(value)}`)

const blocksOf = (file: Uint8Array) => {
  const reader = new CheckpointReader()
  const parts = reader.push(file)
  reader.end()
  return parts.flatMap(part => (isHeader(part) ? [] : [part]))
}

test("blocks of entries come back with where each of them starts, however they were put in", () => {
  const file = new CheckpointWriter(BLOCK_BYTES)
  const small = [blockOf(entries(0, 2)), blockOf([]), blockOf(entries(2, 20)), blockOf(entries(20, 23))]
  const large = blockOf(entries(23, 100))
  const written = Buffer.concat([
    ...[file.begin(HEADER), ...small.flatMap(block => [...file.addBlock(block)]), ...file.addBlock(large)],
    ...[...file.add(entries(100, 110)), ...file.end()]
  ])
  const blocks = blocksOf(written)
  expect(blocks.flatMap(({ bytes }) => plain(entriesIn(bytes)))).toEqual(plain(entries(0, 110)))
  for (const { bytes, index } of blocks) {
    expect(bytes.length).toBeLessThan(3 * BLOCK_BYTES)
    const ends = plain(entriesIn(bytes)).map((_, i) => blockOf([...entriesIn(bytes)].slice(0, i)).length)
    expect([...index!.starts]).toEqual(ends)
  }
})

test("files from before blocks had an index are read", () => {
  const file = new BlockWriter()
  const block = (kind: number, bytes: Uint8Array) => {
    file.payload.copy(bytes, 0, bytes.length)
    return file.close(kind)
  }
  const old = [block(1, Buffer.from(JSON.stringify(HEADER))), block(2, blockOf(entries(0, 5))), file.close(END)]
  const [{ bytes, index } = { bytes: new Uint8Array(0) }] = blocksOf(Buffer.concat(old))
  expect(plain(entriesIn(bytes))).toEqual(plain(entries(0, 5)))
  expect(index).toBeUndefined()
})
