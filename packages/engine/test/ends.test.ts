/** The client knows ends by what it fetches: where it fetches nothing, brokers are asked. */
import { expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Ends } from "../src/lane/ends.ts"
import { LogError, type Position } from "../src/ports/log.ts"

const at = (partition: number, offset: number): Position => ({ topic: "t", partition, offset })

/** Two partitions that have been read to their end at 5: the first one moves on by itself, the second one stands still. */
const watched = async (answer: (partition: number) => number | undefined, looks: number) => {
  const asked: string[] = []
  let moved = 5
  const ends = new Ends({
    lane: { positions: () => [at(0, moved++), at(1, 5)] },
    source: {
      knownEnd: ({ partition }) => (partition === 2 ? undefined : 5),
      ends: partitions => {
        asked.push(partitions.map(one => one.partition).join())
        const found = partitions.map(one => answer(one.partition))
        return found.every(end => end !== undefined)
          ? Effect.succeed(found)
          : Effect.fail(new LogError("Retry", "nobody answers"))
      }
    }
  })
  const looking = Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(ends.watch)
    yield* TestClock.adjust(`${(looks - 1) * 5} seconds`)
    yield* Fiber.interrupt(fiber)
  })
  await Effect.runPromise(Effect.provide(looking, TestClock.layer()))
  return { asked, ends: [0, 1, 2].map(partition => ends.knownEnd(at(partition, 0))) }
}

test("of one that stands still the end is asked for, and is not what was fetched last", async () => {
  expect(await watched(() => 9, 3)).toEqual({ asked: ["1", "1"], ends: [5, 9, undefined] })
})

test("at the first look nothing is known to stand still", async () => {
  expect(await watched(() => 9, 1)).toEqual({ asked: [], ends: [5, 5, undefined] })
})

test("an end that is older than what was fetched since then says nothing", async () => {
  expect((await watched(() => 4, 2)).ends).toEqual([5, 5, undefined])
})

test("where nobody answers it is asked again, and what was known still holds", async () => {
  let answers = 2
  const found = await watched(() => (answers-- > 1 ? 9 : undefined), 4)
  expect(found).toEqual({ asked: ["1", "1", "1"], ends: [5, 9, undefined] })
})
