import { expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { LogError } from "../src/ports/log.ts"
import { Departed } from "../src/standby/departed.ts"

/** A group whose members a test moves, what is open, and what was aborted. */
const group = () => {
  const world = {
    members: ["app..a..0", "app..b..0", "app..b..1"] as string[] | undefined,
    open: ["app..a..0-a", "app..b..0-a", "app..b..1-b"] as string[] | undefined,
    aborted: [] as string[],
    /** Why a broker does not tell of those that it coordinates. */
    silent: null as string | null,
    answers: true,
    /** Called when something is to be aborted: the error with which that fails. */
    refuses: (_id: string): LogError | undefined => undefined,
    /** Called between the two questions. */
    between: () => {}
  }
  const open = Effect.sync(() => {
    const found = world.open
    world.between()
    return found && { ids: found, silent: world.silent }
  })
  const members = Effect.suspend(() =>
    world.answers ? Effect.succeed(world.members) : Effect.fail(new LogError("Retry", "nobody answers"))
  )
  const abort = (id: string) =>
    Effect.suspend(() => {
      const refused = world.refuses(id)
      if (refused !== undefined) return Effect.fail(refused)
      world.aborted.push(id)
      world.open = world.open?.filter(one => one !== id)
      return Effect.void
    })
  const departed = new Departed({ self: "app..a..0", open, members, abort })
  return { world, departed, settle: () => Effect.runPromise(inTime(departed.settle())) }
}

/** With all the time that it takes. */
const inTime = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  }).pipe(Effect.provide(TestClock.layer()))

test("what lanes that are gone from the group left open is ended, once, and nobody else's", async () => {
  const { world, settle } = group()
  await settle()
  expect(world.aborted).toEqual([])
  world.members = ["app..a..0", "app..b..1"]
  await settle()
  await settle()
  expect(world.aborted).toEqual(["app..b..0-a"])
})

test("also what is left of a lane that was gone before anybody looked", async () => {
  const { world, settle } = group()
  world.members = ["app..a..0"]
  await settle()
  expect(world.aborted).toEqual(["app..b..0-a", "app..b..1-b"])
})

test("a lane that joins between the two questions keeps what it has open", async () => {
  const { world, settle } = group()
  world.between = () => {
    world.members = ["app..a..0", "app..b..0", "app..b..1", "app..c..0"]
    world.open = ["app..c..0-a"]
  }
  await settle()
  expect(world.aborted).toEqual([])
})

test("a list of members that does not have who asks is not believed, nor is none", async () => {
  const { world, settle } = group()
  world.members = ["app..b..0"]
  await settle()
  world.members = undefined
  await settle()
  world.members = ["app..a..0"]
  world.open = undefined
  await settle()
  expect(world.aborted).toEqual([])
})

test("as long as nobody says who is there, nobody is taken for dead", async () => {
  const { world, departed, settle } = group()
  world.members = ["app..a..0"]
  world.answers = false
  expect((await Effect.runPromise(Effect.flip(inTime(departed.settle())))).message).toBe("nobody answers")
  expect(world.aborted).toEqual([])
  world.answers = true
  await settle()
  expect(world.aborted).toEqual(["app..b..0-a", "app..b..1-b"])
})

test("who dies while something is ended is looked for behind it", async () => {
  const { world, departed, settle } = group()
  world.members = ["app..a..0", "app..b..1"]
  let looks = 0
  world.between = () => {
    if (++looks > 1) return
    // Its partitions come while the first look is under way.
    Effect.runSync(departed.settle())
    expect(world.aborted).toEqual([])
    world.between = () => {
      world.members = ["app..a..0"]
    }
  }
  await settle()
  expect(world.aborted).toEqual(["app..b..0-a", "app..b..1-b"])
})

test("what could not be ended is looked at anew: who has come back meanwhile keeps what he has open", async () => {
  const { world, settle } = group()
  world.members = ["app..a..0"]
  let refused = 0
  world.refuses = () => {
    // Both, and before it is tried again one is there.
    if (refused++ >= 2) return undefined
    world.members = ["app..a..0", "app..b..0"]
    return new LogError("Retry", "no coordinator")
  }
  await settle()
  expect(world.aborted).toEqual(["app..b..1-b"])
})

test("what cannot be ended does not keep the others open, and is said in the end", async () => {
  const { world, departed } = group()
  world.members = ["app..a..0"]
  world.refuses = id => (id === "app..b..0-a" ? new LogError("Retry", "no coordinator") : undefined)
  expect((await Effect.runPromise(Effect.flip(inTime(departed.settle())))).message).toBe("no coordinator")
  expect(world.aborted).toEqual(["app..b..1-b"])
})

test("what a broker coordinates that has not told is looked for again, and what the others told of is ended meanwhile", async () => {
  const { world, departed, settle } = group()
  world.members = ["app..a..0"]
  world.open = ["app..b..0-a"]
  world.silent = "Broker: Coordinator load in progress"
  let looks = 0
  world.between = () => {
    if (++looks === 2) world.open = ["app..b..1-b"]
    if (looks === 3) world.silent = null
  }
  await settle()
  expect(world.aborted).toEqual(["app..b..0-a", "app..b..1-b"])
  // Not for ever: then they end by their time-out, and it is said whom to look at.
  world.between = () => {}
  world.silent = "Local: Timed out"
  const { message } = await Effect.runPromise(Effect.flip(inTime(departed.settle())))
  expect(message).toBe("some broker did not tell what is open there: Local: Timed out")
})
