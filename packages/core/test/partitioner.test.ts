import { describe, expect, test } from "bun:test"
import { murmur2 } from "../src/partitioner.ts"

describe("murmur2", () => {
  // Values of Kafka's own test of Utils.murmur2.
  test.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107]
  ])("of %s", (key, hash) => {
    expect(murmur2(new TextEncoder().encode(key))).toBe(hash)
  })
})
