import { expect, test } from "bun:test"
import { ownedBy } from "../src/standby/owned.ts"

const places = (...partitions: number[]) => partitions.map(partition => ({ topic: "t", partition }))
const group = (one: number[], two: number[]) => [
  { name: "one", partitions: places(...one) },
  { name: "two", partitions: places(...two) }
]

test("a member owns what the group says, be it nothing", () => {
  expect(ownedBy("two", group([0], [1, 2]))).toEqual(places(1, 2))
  expect(ownedBy("two", group([0], []))).toEqual([])
})

test("while partitions are given out anew nobody knows what a member owns", () => {
  expect(ownedBy("two", group([], []))).toBeUndefined()
})

test("who is no member owns nothing, and in a group that does not tell nobody does", () => {
  expect(ownedBy("three", group([], []))).toEqual([])
  expect(ownedBy("one", [])).toEqual([])
  expect(ownedBy("one", undefined)).toEqual([])
})
