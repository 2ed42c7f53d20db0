import { expect, test } from "bun:test"
import { LaneMetrics } from "@headrace/engine"
import { areClose, looksAtNothing } from "../src/takeover.ts"

const lane = (looks: number, toFollow: number, followed: number, behind: number): LaneMetrics => {
  const metrics = new LaneMetrics()
  for (const [name, value] of Object.entries({ looks, toFollow, followed, behind })) metrics.set(name as "looks", value)
  return metrics
}

const classic = looksAtNothing({})

test("lanes take over once all have looked, and follow nearly everything", () => {
  expect(areClose([lane(1, 2, 2, 10), lane(3, 1, 1, 0)], classic)).toBe(true)
  expect(areClose([lane(1, 2, 2, 10), lane(0, 0, 0, 0)], classic)).toBe(false)
  expect(areClose([lane(9, 2, 1, 0)], classic)).toBe(false)
  expect(areClose([lane(9, 2, 2, 10_000)], classic)).toBe(false)
})

test("that there is nothing to follow is not believed at once: it may be lost for a moment", () => {
  expect(areClose([lane(1, 0, 0, 0), lane(1, 0, 0, 0)], classic)).toBe(false)
  expect(areClose([lane(50, 0, 0, 0), lane(50, 0, 0, 0)], classic)).toBe(true)
  // Where another lane has something, one that has nothing is no reason to wait.
  expect(areClose([lane(1, 0, 0, 0), lane(1, 2, 2, 0)], classic)).toBe(true)
})

test("where brokers tell nobody who owns what, there is nothing to wait for", () => {
  const atOnce = looksAtNothing({ "group.protocol": "consumer" })
  expect(areClose([lane(0, 0, 0, 0), lane(1, 0, 0, 0)], atOnce)).toBe(false)
  expect(areClose([lane(1, 0, 0, 0), lane(1, 0, 0, 0)], atOnce)).toBe(true)
})
