import { expect, test } from "bun:test"
import { shareOf } from "../src/standby/share.ts"

const sources = new Map([
  ["one", 5],
  ["two", 2]
])
const shares = (lanes: number, copies: number) =>
  Array.from({ length: lanes }, (_, lane) =>
    shareOf(sources, { lane, lanes, copies }).map(({ topic, partition }) => `${topic}/${partition}`)
  )

test("each partition is kept in as many lanes of an instance as there are copies", () => {
  for (const [lanes, copies] of [
    [3, 1],
    [3, 2],
    [3, 3],
    [4, 9],
    [1, 1]
  ] as const) {
    const all = shares(lanes, copies).flat()
    for (const name of ["one/0", "one/4", "two/1"])
      expect(all.filter(one => one === name).length).toBe(Math.min(lanes, copies))
  }
})

test("without copies nothing is kept, and one copy is dealt evenly", () => {
  expect(shares(2, 0)).toEqual([[], []])
  expect(shares(2, 1)).toEqual([
    ["one/0", "one/2", "one/4", "two/0"],
    ["one/1", "one/3", "two/1"]
  ])
})
