import { expect, test } from "bun:test"
import { Effect } from "effect"
import { LogError } from "../src/ports/log.ts"
import { Departed } from "../src/standby/departed.ts"

/** A group whose members a test moves, and who was aborted. */
const group = () => {
  const world = { members: ["a-0", "b-0", "b-1"], aborted: [] as string[], answers: true }
  const members = Effect.suspend(() =>
    world.answers ? Effect.succeed(world.members) : Effect.fail(new LogError("Retry", "nobody answers"))
  )
  const abort = (lane: string) => Effect.sync(() => void world.aborted.push(lane))
  return { world, departed: new Departed({ self: "a-0", members, abort }) }
}

test("what lanes that are gone from the group left open is ended, once, and nobody else's", async () => {
  const { world, departed } = group()
  await Effect.runPromise(departed.remember())
  world.members = ["a-0", "c-0"]
  await Effect.runPromise(departed.settle())
  expect(world.aborted).toEqual(["b-0", "b-1"])
  await Effect.runPromise(departed.settle())
  expect(world.aborted).toEqual(["b-0", "b-1"])
  world.members = ["a-0"]
  await Effect.runPromise(departed.settle())
  expect(world.aborted).toEqual(["b-0", "b-1", "c-0"])
})

test("a lane that was seen in between is remembered, though nothing was taken over then", async () => {
  const { world, departed } = group()
  await Effect.runPromise(departed.remember())
  world.members = ["a-0", "d-0"]
  await Effect.runPromise(departed.remember())
  world.members = ["a-0"]
  await Effect.runPromise(departed.settle())
  expect(world.aborted.toSorted()).toEqual(["b-0", "b-1", "d-0"])
})

test("a list of members that does not have who asks is not believed", async () => {
  const { world, departed } = group()
  await Effect.runPromise(departed.remember())
  world.members = []
  await Effect.runPromise(departed.settle())
  expect(world.aborted).toEqual([])
  world.members = ["a-0", "b-0"]
  await Effect.runPromise(departed.settle())
  expect(world.aborted).toEqual(["b-1"])
})

test("as long as nobody says who is there, nobody is taken for dead", async () => {
  const { world, departed } = group()
  await Effect.runPromise(departed.remember())
  world.members = ["a-0"]
  world.answers = false
  expect((await Effect.runPromise(Effect.flip(departed.settle()))).message).toBe("nobody answers")
  expect(world.aborted).toEqual([])
  world.answers = true
  await Effect.runPromise(departed.settle())
  expect(world.aborted).toEqual(["b-0", "b-1"])
})
