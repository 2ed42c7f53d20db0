import { expect, test } from "bun:test"
import { LaneMetrics } from "../src/metrics.ts"

test("the last warning is read from another view of the same memory, cut where it is too long", () => {
  const metrics = new LaneMetrics()
  const { warning } = new LaneMetrics(metrics.buffer)
  expect(warning.said).toBeUndefined()
  metrics.warning.say("größer", 5)
  expect(warning.said).toEqual({ text: "größer", at: 5 })
  metrics.warning.say("x".repeat(5000), 6)
  expect(warning.said).toEqual({ text: "x".repeat(1024), at: 6 })
  metrics.warning.say("kurz", 7)
  expect(warning.said).toEqual({ text: "kurz", at: 7 })
  // Nothing else lies there.
  expect(metrics.get("phase")).toBe(0)
  expect(metrics.states.read()).toEqual([])
})
