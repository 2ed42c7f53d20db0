import { expect, test } from "bun:test"
import { unowned } from "../src/unowned.ts"

const t = (partition: number) => ({ topic: "t", partition })
const all = [t(0), t(1), t(2)]

test("partitions that no member was given are nobody's", () => {
  const members = [
    { name: "a", partitions: [t(0)] },
    { name: "b", partitions: [t(2), { topic: "another", partition: 1 }] }
  ]
  expect(unowned(members, "a", all)).toEqual([t(1)])
  expect(unowned([...members, { name: "c", partitions: [t(1)] }], "a", all)).toEqual([])
})

test("while a group gives partitions out, or has not let the member in, nothing is known", () => {
  expect(unowned([{ name: "a", partitions: [] }], "a", all)).toBeUndefined()
  expect(unowned([{ name: "b", partitions: [t(0)] }], "a", all)).toBeUndefined()
})
