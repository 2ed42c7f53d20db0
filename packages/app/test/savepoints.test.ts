/** What lanes are told for a savepoint, and when. */
import { expect, test } from "bun:test"
import { HaltedPartitions, LaneMetrics, PHASES, SavepointError, type WorkerMessage } from "@headrace/engine"
import { Deferred, Effect, Fiber } from "effect"
import { type JobToSave, Savepoints } from "../src/savepoint/ending.ts"
import { Status } from "../src/status.ts"
import type { Unit } from "../src/unit.ts"

const PARTITIONS = [0, 1].map(partition => ({ topic: "orders", partition }))

/** Two lanes with a partition each, which come to rest as soon as they are told to. */
const job = () => {
  const units = [0, 1].map(
    (index): Unit => ({ kind: "lane", index, name: `lane ${index}`, metrics: new LaneMetrics() })
  )
  for (const { metrics } of units) {
    metrics.set("phase", PHASES.indexOf("running"))
    metrics.set("partitions", 1)
  }
  const status = new Status("app", units)
  const halted = HaltedPartitions.of(PARTITIONS, units.length)
  status.partitions = PARTITIONS.length
  status.halted = halted
  const savepoints = new Savepoints({} as JobToSave, status)
  const told: string[] = []
  const tell = (order: WorkerMessage): void => {
    told.push(order.type)
    if (order.type === "halt")
      for (const [lane, one] of PARTITIONS.entries()) halted.say(lane, order.halt.number, [one])
  }
  const lanes = Effect.runFork(savepoints.orders.to(tell))
  return { savepoints, told, leave: () => Effect.runPromise(Fiber.interrupt(lanes)) }
}

test("a job that ends with a savepoint comes to rest first, and only then its lanes stop", async () => {
  const { savepoints, told, leave } = job()
  Deferred.doneUnsafe(savepoints.ending, Effect.succeed({ id: undefined, stop: true, drain: false }))
  await Effect.runPromise(savepoints.end)
  expect(told).toEqual(["halt", "stop"])
  // A lane that is started again hears of both.
  const again: string[] = []
  const lane = Effect.runFork(savepoints.orders.to(({ type }) => void again.push(type)))
  await Effect.runPromise(Fiber.interrupt(lane))
  expect(again).toEqual(["halt", "stop"])
  await leave()
})

test("a job that goes on rests only while it is looked at, also where that fails", async () => {
  const { savepoints, told, leave } = job()
  await Effect.runPromise(savepoints.rests(Effect.sync(() => void told.push("look"))))
  expect(told).toEqual(["halt", "look", "resume"])
  const look = Effect.fail(new SavepointError({ message: "restless" }))
  const failed = await Effect.runPromise(Effect.flip(savepoints.rests(look)))
  expect(failed.message).toBe("restless")
  expect(told.slice(3)).toEqual(["halt", "resume"])
  await leave()
})
