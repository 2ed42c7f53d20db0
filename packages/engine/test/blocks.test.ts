import { expect, test } from "bun:test"
import { BlockReader, BlockWriter, END } from "../src/recovery/blocks.ts"

const file = (): Buffer => {
  const writer = new BlockWriter()
  const blocks = ["first", "second"].map((text, i) => {
    const bytes = Buffer.from(text)
    writer.payload.copy(bytes, 0, bytes.length)
    return writer.close(i + 1)
  })
  return Buffer.concat([...blocks, writer.close(END)])
}

test.each([1, 7, 50, 1_000])("a file comes back from chunks of %d bytes, also if their maker uses them again", size => {
  const reader = new BlockReader()
  const read: unknown[] = []
  const bytes = file()
  for (let at = 0; at < bytes.length; at += size) {
    // A Buffer: what is sliced of it is a view.
    const chunk = Buffer.from(bytes.subarray(at, at + size))
    const blocks = reader.push(chunk).map(({ kind, payload }) => ({ kind, payload: payload.slice() }))
    chunk.fill(255)
    read.push(...blocks.map(({ kind, payload }) => [kind, Buffer.from(payload).toString()]))
  }
  reader.end()
  expect(read).toEqual([
    [1, "first"],
    [2, "second"],
    [END, ""]
  ])
})

test.each([
  ["cut off", (bytes: Buffer) => bytes.subarray(0, -1), /cut off/],
  ["without its end", (bytes: Buffer) => bytes.subarray(0, -41), /cut off/],
  ["with something behind its end", (bytes: Buffer) => Buffer.concat([bytes, bytes.subarray(4)]), /after its end/],
  ["with a block missing", (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 4), bytes.subarray(50)]), /checksum/],
  ["with a length that is too large", (bytes: Buffer) => bytes.with(5, 255), /length is damaged/],
  ["of another format", (bytes: Buffer) => bytes.with(0, 0), /this version/]
])("a file %s is found to be damaged", (_, damage, what) => {
  const reader = new BlockReader()
  expect(() => {
    reader.push(damage(file()))
    reader.end()
  }).toThrow(what)
})
