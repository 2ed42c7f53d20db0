import { expect, test } from "bun:test"
import { LaneMetrics, MANY, type StateRow } from "@headrace/engine"
import { Effect } from "effect"
import { renderMetrics } from "../src/metrics.ts"
import { statesOf, worthSaying } from "../src/states.ts"
import { Status } from "../src/status.ts"

const MB = 1 << 20
const lane = () => ({ kind: "lane" as const, index: 0, name: "lane 0", metrics: new LaneMetrics() })
const made = () => {
  const unit = lane()
  return { unit, status: new Status("spend", [unit], { sources: ["payments"], nodes: ["source", "spent"] }) }
}
const row = (more: Partial<StateRow>): StateRow => ({
  source: 0,
  partition: 3,
  node: 1,
  keys: 10,
  bytes: 5 * MB,
  spilledKeys: 0,
  spilledBytes: 0,
  ...more
})

test("state is told by partition and operator, in numbers that a lane wrote to shared memory", async () => {
  const { unit, status } = made()
  new LaneMetrics(unit.metrics.buffer).states.write([row({ keys: 12 }), row({ partition: 4, spilledKeys: 7 })])
  expect(statesOf(status)).toMatchObject([
    { lane: "lane 0", topic: "payments", partition: "3", operator: "spent", keys: 12 },
    { partition: "4", spilledKeys: 7 }
  ])
  const text = await Effect.runPromise(renderMetrics(status))
  expect(text).toContain(
    'headrace_operator_state_keys{unit="lane 0",topic="payments",partition="3",operator="spent"} 12'
  )
})

test("more partitions than there is room for are added up, not left out", () => {
  const { unit, status } = made()
  unit.metrics.states.write(Array.from({ length: 5_000 }, (_, partition) => row({ partition, keys: 1 })))
  const states = statesOf(status)
  expect(states.reduce((sum, { keys }) => sum + keys, 0)).toBe(5_000)
  expect(states.at(-1)!.partition).toBe("others")
  expect(unit.metrics.states.read().at(-1)!.partition).toBe(MANY)
})

test("a bound that comes near is said once, a disk that is used once, and both again after all is well", () => {
  const { unit, status } = made()
  const said = new Set<string>()
  const say = (bytes: number, spilledBytes: number) => {
    unit.metrics.set("stateBound", 100 * MB)
    unit.metrics.set("stateBytes", bytes)
    unit.metrics.states.write([row({ bytes, spilledBytes })])
    return worthSaying(unit, status, "/disk", said)
  }
  expect(say(39 * MB, 0)).toBeUndefined()
  expect(say(41 * MB, 0)).toContain("state takes 41 of the 100 MB")
  expect(say(45 * MB, 0)).toBeUndefined()
  expect(say(50 * MB, 1)).toContain("goes to /disk")
  expect(say(20 * MB, 1)).toBeUndefined()
  expect(say(20 * MB, 0)).toBeUndefined()
  expect(say(60 * MB, 9)).toContain("most of it is spent's of payments/3 (10 keys)")
})
