import { expect, test } from "bun:test"
import { LaneMetrics, PHASES, type Phase } from "@headrace/engine"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { lanesRun } from "../src/lanesFirst.ts"
import type { Unit } from "../src/unit.ts"

const lane = (phase: Phase): Unit => {
  const metrics = new LaneMetrics()
  metrics.set("phase", PHASES.indexOf(phase))
  return { kind: "lane", index: 0, name: "lane", metrics }
}

const show = ({ metrics }: Unit, phase: Phase) => metrics.set("phase", PHASES.indexOf(phase))

const whileWaiting = <A>(lanes: readonly Unit[], watch: (over: () => boolean) => Effect.Effect<A>) => {
  const watched = Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(lanesRun(lanes))
    return yield* watch(() => fiber.pollUnsafe() !== undefined)
  })
  return Effect.runPromise(Effect.provide(watched, TestClock.layer()))
}

test("what comes behind lanes waits until all of them have what they need, and a moment for their first records", () => {
  const [first, second] = [lane("starting"), lane("running")]
  return whileWaiting([first, second], over =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      show(first, "restoring")
      yield* TestClock.adjust("500 millis")
      expect(over()).toBe(false)
      show(first, "running")
      yield* TestClock.adjust("400 millis")
      expect(over()).toBe(false)
      yield* TestClock.adjust("200 millis")
      expect(over()).toBe(true)
    })
  )
})

test("it does not wait for ever for lanes that the group gives nothing, nor for one that has nothing to do", async () => {
  await whileWaiting([lane("joining")], over =>
    Effect.gen(function* () {
      yield* TestClock.adjust("2900 millis")
      expect(over()).toBe(false)
      yield* TestClock.adjust("200 millis")
      expect(over()).toBe(true)
    })
  )
  await whileWaiting([lane("spare"), lane("failed")], over =>
    Effect.gen(function* () {
      yield* TestClock.adjust("600 millis")
      expect(over()).toBe(true)
    })
  )
})
