import { expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { LogError } from "../src/ports/log.ts"
import { remaining } from "../src/savepoint/session.ts"

type Answer = readonly string[] | "unknown" | "Retry" | "Stop"

/** Who remains in a group that answers so, the last answer for ever. */
const asked = (answers: readonly Answer[]) => {
  let calls = 0
  const members = () =>
    Effect.suspend(() => {
      const answer = answers[Math.min(calls++, answers.length - 1)]!
      if (answer === "unknown") return Effect.succeed(undefined)
      if (answer === "Retry" || answer === "Stop") return Effect.fail(new LogError(answer, "nobody answers"))
      return Effect.succeed(answer.map(name => ({ name, partitions: [] })))
    })
  return Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(remaining({ members }, "g", { sessionTimeoutMs: 6_000 })))
    yield* TestClock.adjust("1 minute")
    const found = yield* yield* Fiber.join(fiber)
    return { found: found.map(({ name }) => name), calls }
  }).pipe(Effect.provide(TestClock.layer()), Effect.runPromise)
}

test("who was killed is waited for until the session has timed out", async () => {
  expect(await asked([["a"], ["a"], []])).toEqual({ found: [], calls: 3 })
})

test("who is still there then is there", async () => {
  expect(await asked([["a", "b"], ["a"]])).toEqual({ found: ["a"], calls: 10 })
})

test("where the broker does not say, nobody is waited for", async () => {
  expect(await asked(["unknown"])).toEqual({ found: [], calls: 1 })
})

test("a broker that is away is asked again, one that refuses is not", async () => {
  expect(await asked(["Retry", "Retry", ["a"], []])).toEqual({ found: [], calls: 4 })
  await expect(asked(["Stop"])).rejects.toThrow("nobody answers")
})
