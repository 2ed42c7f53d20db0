/** What lanes are told for a savepoint, and when. */
import { expect, test } from "bun:test"
import { LaneMetrics, PHASES, SavepointError, Whereabouts, type WorkerMessage } from "@headrace/engine"
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
  for (const { metrics } of units) metrics.set("phase", PHASES.indexOf("running"))
  const status = new Status("app", units)
  const whereabouts = Whereabouts.of(PARTITIONS, units.length)
  for (const [lane, one] of PARTITIONS.entries()) whereabouts.say(lane, [one])
  status.whereabouts = whereabouts
  const savepoints = new Savepoints({} as JobToSave, status)
  const told: string[] = []
  const tell = (order: WorkerMessage): void => {
    told.push(order.type)
    if (order.type === "halt")
      for (const [lane, one] of PARTITIONS.entries()) whereabouts.say(lane, [one], order.halt.number, [one])
  }
  const lanes = Effect.runFork(savepoints.orders.to(tell))
  return { savepoints, status, whereabouts, told, leave: () => Effect.runPromise(Fiber.interrupt(lanes)) }
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

test("a partition that two lanes say they have is no other one that none here has", async () => {
  const { savepoints, status, whereabouts, leave } = job()
  // The group has expelled the second lane, which does not know it yet, and gave the last partition to another process.
  whereabouts.say(1, [PARTITIONS[0]!])
  expect(status.unfit()).toBe("this process does not have orders/1, other instances of app do: stop those first")
  // Nor are more than there are too many.
  whereabouts.say(0, PARTITIONS)
  whereabouts.say(1, PARTITIONS)
  expect(status.unfit()).toBeUndefined()
  await Effect.runPromise(savepoints.rests(Effect.void))
  await leave()
})

test("a partition that came after the start is what is said, and not that others had the rest", async () => {
  const { status, whereabouts, leave } = job()
  whereabouts.say(1, [...PARTITIONS, { topic: "orders", partition: 2 }])
  expect(status.unfit()).toBe(
    "orders/2 came after this process had started, which knows the partitions of app from then: start it again"
  )
  await leave()
})
