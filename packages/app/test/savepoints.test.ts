/** What lanes are told for a savepoint, and when. */
import { expect, test } from "bun:test"
import { LaneMetrics, type Manifest, PHASES, SavepointError, Whereabouts, type WorkerMessage } from "@headrace/engine"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type JobToSave, Savepoints } from "../src/savepoint/ending.ts"
import { Status } from "../src/status.ts"
import type { Unit } from "../src/unit.ts"

const PARTITIONS = [0, 1].map(partition => ({ topic: "orders", partition }))

/** Two lanes with a partition each, which come to rest as soon as they are told to, as long as they have it. */
const job = (writer?: ConstructorParameters<typeof Savepoints>[2]) => {
  const owned = PARTITIONS.map(one => [one])
  const units = [0, 1].map(
    (index): Unit => ({ kind: "lane", index, name: `lane ${index}`, metrics: new LaneMetrics() })
  )
  for (const { metrics } of units) metrics.set("phase", PHASES.indexOf("running"))
  const status = new Status("app", units)
  const whereabouts = Whereabouts.of(PARTITIONS, units.length)
  for (const [lane, own] of owned.entries()) whereabouts.say(lane, own)
  status.whereabouts = whereabouts
  const savepoints = new Savepoints({} as JobToSave, status, writer)
  const told: string[] = []
  const tell = (order: WorkerMessage): void => {
    told.push(order.type)
    if (order.type === "halt")
      for (const [lane, own] of owned.entries()) whereabouts.say(lane, own, order.halt.number, own)
  }
  const lanes = Effect.runFork(savepoints.orders.to(tell))
  return { savepoints, status, whereabouts, owned, told, leave: () => Effect.runPromise(Fiber.interrupt(lanes)) }
}

const TO_END = { id: undefined, stop: true, drain: false }

test("a job that ends with a savepoint comes to rest first, and only then its lanes stop", async () => {
  const { savepoints, told, leave } = job()
  const asked = Effect.runFork(savepoints.take(TO_END))
  await Effect.runPromise(savepoints.end)
  expect(told).toEqual(["halt", "stop"])
  // A lane that is started again hears of both.
  const again: string[] = []
  const lane = Effect.runFork(savepoints.orders.to(({ type }) => void again.push(type)))
  await Effect.runPromise(Fiber.interrupt(lane))
  expect(again).toEqual(["halt", "stop"])
  await Effect.runPromise(Fiber.interrupt(asked))
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

test("two that are asked for at once are written one after the other", async () => {
  const first = Deferred.makeUnsafe<void>()
  const begun: (string | undefined)[] = []
  const { savepoints, leave } = job(({ id }) =>
    Effect.gen(function* () {
      begun.push(id)
      if (id === "first") yield* Deferred.await(first)
      return { id } as Manifest
    })
  )
  const ask = (id: string) => Effect.forkChild(savepoints.take({ id, stop: false, drain: false }))
  const both = Effect.gen(function* () {
    const fibers = [yield* ask("first"), yield* ask("second")]
    // What is ready to go on has done so before what is due at that time.
    yield* TestClock.adjust("1 second")
    expect(begun).toEqual(["first"])
    yield* Deferred.succeed(first, undefined)
    yield* Effect.forEach(fibers, fiber => Fiber.join(fiber))
    expect(begun).toEqual(["first", "second"])
  })
  await Effect.runPromise(Effect.provide(both, TestClock.layer()))
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

test("a job that another instance takes a partition of while it is to end goes on, says which, and can end later", async () => {
  const { savepoints, status, whereabouts, owned, told, leave } = job()
  owned[1] = []
  const lane = status.units[1]!
  const phase = (name: (typeof PHASES)[number]) => lane.metrics.set("phase", PHASES.indexOf(name))
  const whole = Effect.gen(function* () {
    const end = yield* Effect.forkChild(savepoints.end)
    const asked = yield* Effect.forkChild(Effect.flip(savepoints.take(TO_END)))
    // As long as a lane does not run, what it had may come back to it.
    yield* TestClock.adjust("1 second")
    phase("restoring")
    yield* TestClock.adjust("10 minutes")
    expect(told).toEqual(["halt"])
    phase("spare")
    yield* TestClock.adjust("20 seconds")
    const { message } = yield* Fiber.join(asked)
    expect(message).toContain("this process does not have orders/1, other instances of app do: stop those first")
    expect(told).toEqual(["halt", "resume"])
    owned[1] = [PARTITIONS[1]!]
    whereabouts.say(1, owned[1])
    const again = yield* Effect.forkChild(savepoints.take(TO_END))
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(end)
    expect(told.slice(2)).toEqual(["halt", "stop"])
    yield* Fiber.interrupt(again)
  })
  await Effect.runPromise(Effect.provide(whole, TestClock.layer()))
  await leave()
})

test("a job that was to rest for a moment says which partition another instance has taken meanwhile", async () => {
  const { savepoints, owned, told, leave } = job()
  owned[1] = []
  const rested = Effect.gen(function* () {
    const rests = yield* Effect.forkChild(Effect.flip(savepoints.rests(Effect.void)))
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(rests)
  })
  const { message } = await Effect.runPromise(Effect.provide(rested, TestClock.layer()))
  expect(message).toBe("this process does not have orders/1, other instances of app do: stop those first")
  expect(told).toEqual(["halt", "resume"])
  await leave()
})

test("a savepoint beside a job that is being ended is of its end, or waits until it goes on", async () => {
  const { savepoints, status, whereabouts, owned, told, leave } = job()
  owned[1] = []
  const metrics = status.units[1]!.metrics
  const whole = Effect.gen(function* () {
    const end = yield* Effect.forkChild(savepoints.end)
    const asked = yield* Effect.forkChild(Effect.flip(savepoints.take(TO_END)))
    yield* TestClock.adjust("1 second")
    const beside = yield* Effect.forkChild(savepoints.rests(Effect.sync(() => void told.push("look"))))
    yield* TestClock.adjust("1 second")
    expect(told).toEqual(["halt"])
    metrics.set("phase", PHASES.indexOf("spare"))
    yield* TestClock.adjust("15 seconds")
    yield* Fiber.join(asked)
    // The end was given up. What it was given up for has passed.
    owned[1] = [PARTITIONS[1]!]
    whereabouts.say(1, owned[1])
    metrics.set("phase", PHASES.indexOf("running"))
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(beside)
    expect(told).toEqual(["halt", "resume", "halt", "look", "resume"])
    const again = yield* Effect.forkChild(savepoints.take(TO_END))
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(end)
    yield* savepoints.rests(Effect.sync(() => void told.push("look")))
    expect(told.slice(5)).toEqual(["halt", "stop", "look"])
    yield* Fiber.interrupt(again)
  })
  await Effect.runPromise(Effect.provide(whole, TestClock.layer()))
  await leave()
})
