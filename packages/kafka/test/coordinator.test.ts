import { expect, test } from "bun:test"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { onceCoordinated } from "../src/coordinator.ts"
import { kafkaError } from "../src/error.ts"
import { attempt } from "../src/port-error.ts"

const fault = (name: string) => ({
  code: 16,
  kind: "",
  name,
  message: "Broker: no",
  fatal: false,
  retriable: true,
  abortable: false,
  needed: 0,
  record: -1
})

/** Asks a broker that refuses so often, while time passes; how often it was asked, and what came of it. */
const asked = (name: string, refusals: number) =>
  Effect.gen(function* () {
    let times = 0
    const ask = attempt("ask", async () => {
      if (++times <= refusals) throw kafkaError("ask", fault(name))
      return "answer"
    })
    const fiber = yield* Effect.forkChild(onceCoordinated(ask))
    while (fiber.pollUnsafe() === undefined) {
      // The call's promise comes first.
      yield* Effect.promise(() => new Promise(resolve => setImmediate(resolve)))
      yield* TestClock.adjust(100)
    }
    return { times, exit: yield* Fiber.await(fiber) }
  }).pipe(Effect.provide(TestClock.layer()), Effect.runPromise)

test.each(["NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"])(
  "a coordinator that is on its way is asked again: %s",
  async name => {
    expect(await asked(name, 10)).toEqual({ times: 11, exit: Exit.succeed("answer") })
  }
)

test("one that does not come is told of", async () => {
  const { times, exit } = await asked("NOT_COORDINATOR", Number.POSITIVE_INFINITY)
  expect(times).toBe(26)
  expect(String(exit)).toContain("NOT_COORDINATOR")
})

test("any other error is told of at once", async () => {
  const { times, exit } = await asked("GROUP_AUTHORIZATION_FAILED", 10)
  expect(times).toBe(1)
  expect(Exit.isFailure(exit)).toBe(true)
})
