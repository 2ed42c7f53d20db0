import { describe, expect, test } from "bun:test"
import { Cause, Effect, Exit, Fiber, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { DeadLetter, DeadLettered, Sink, type Stream, toPlan } from "../src/index.ts"
import { enrich, Payment, payments, UnknownMerchant } from "./payments.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { cents: Schema.Number }) {}
class TooSlow extends Schema.TaggedError<TooSlow>()("TooSlow", {}) {}
const Any = Schema.Struct({})
const payment = (change: Partial<Payment>) =>
  Payment.make({ account: "a", kind: "capture", merchant: "m", cents: 1, at: 0, ...change })
const nameless = payment({ merchant: "" })

type Run = (record: object) => Effect.Effect<object>
const steps = (stream: Stream<object, never, never, never>) =>
  toPlan(stream.to(Sink.kafka("out", Any)))
    .nodes.filter(n => n.kind === "mapEffect")
    .map(n => ({ ...n, run: n.run as Run }))
const step = (stream: Stream<object, never, never, never>) => steps(stream).at(-1)!
const exitOf = (effect: Effect.Effect<object>) => Effect.runSync(Effect.exit(effect))
const resultOf = (effect: Effect.Effect<object>) => Effect.runSync(effect)
const defectOf = (exit: Exit.Exit<object>): unknown => (Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined)

describe("handled errors", () => {
  test("a dead letter names the topic and the error", () => {
    const { run, deadLetters } = step(payments().mapEffect(enrich).catchTag("UnknownMerchant", DeadLetter.to("dlq")))
    const letter = resultOf(run(nameless))
    expect(letter).toBeInstanceOf(DeadLettered)
    expect(letter).toMatchObject({ topic: "dlq", error: { _tag: "UnknownMerchant", merchant: "" } })
    expect(deadLetters).toEqual(["dlq"])
  })

  test("a value or an Effect replaces the result", () => {
    const open = payments().mapEffect(enrich)
    const byValue = step(open.catchTag("UnknownMerchant", e => ({ lost: e.merchant })))
    expect(resultOf(byValue.run(nameless))).toEqual({ lost: "" })
    const byEffect = step(open.catch(e => Effect.succeed({ tag: e._tag })))
    expect(resultOf(byEffect.run(nameless))).toEqual({ tag: "UnknownMerchant" })
    expect(byEffect.deadLetters).toEqual([])
  })

  test("each tag is handled by its own handler, the first that fits", () => {
    const both = (p: Payment) => (p.cents > 1 ? Effect.fail(new Declined({ cents: p.cents })) : enrich(p))
    const { run, deadLetters } = step(
      payments()
        .mapEffect(both)
        .catchTag("UnknownMerchant", DeadLetter.to("unknown"))
        .catchTag("Declined", DeadLetter.to("declined"))
    )
    expect(resultOf(run(nameless))).toMatchObject({ topic: "unknown" })
    expect(resultOf(run(payment({ cents: 2 })))).toMatchObject({ topic: "declined" })
    expect(deadLetters).toEqual(["declined", "unknown"])
  })

  test("a dead letter further down reaches every step above", () => {
    const stream = payments()
      .mapEffect(enrich)
      .mapEffect(p => Effect.succeed(p))
      .filter(p => p.cents > 0)
      .catch(DeadLetter.to("dlq"))
    const [first] = steps(stream)
    expect(resultOf(first!.run(nameless))).toBeInstanceOf(DeadLettered)
  })

  test("orDie makes a defect of it", () => {
    const exit = exitOf(step(payments().mapEffect(enrich).orDie()).run(nameless))
    expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
    expect(defectOf(exit)).toBeInstanceOf(UnknownMerchant)
  })

  test("a function that throws is a defect, which no handler takes for an error", () => {
    const bug = new Error("bug")
    const throwing = (p: Payment): ReturnType<typeof enrich> => {
      if (p.cents > 0) throw bug
      return enrich(p)
    }
    expect(defectOf(exitOf(step(payments().mapEffect(throwing).catch(DeadLetter.to("dlq"))).run(nameless)))).toBe(bug)
  })
})

describe("without a fiber", () => {
  test("a result that is there at once is handed on as it is", () => {
    const result = Effect.succeed({ cents: 1 })
    const { run } = step(
      payments()
        .mapEffect(() => result, { retry: Schedule.recurs(3) })
        .catch(DeadLetter.to("dlq"))
        .orDie()
    )
    expect(run(nameless)).toBe(result)
  })
})

describe("retries and time-outs", () => {
  const flaky = (failures: number) => {
    const calls = { count: 0 }
    const call = Effect.suspend(() =>
      ++calls.count <= failures
        ? Effect.fail(new Declined({ cents: calls.count }))
        : Effect.succeed({ calls: calls.count })
    )
    return { calls, call }
  }

  test("an error is retried as the schedule says, then handled", () => {
    const twice = flaky(2)
    const options = { retry: Schedule.recurs(2) }
    expect(
      resultOf(
        step(
          payments()
            .mapEffect(() => twice.call, options)
            .catch(DeadLetter.to("d"))
        ).run({})
      )
    ).toEqual({ calls: 3 })
    const always = flaky(9)
    expect(
      resultOf(
        step(
          payments()
            .mapEffect(() => always.call, options)
            .catch(DeadLetter.to("d"))
        ).run({})
      )
    ).toMatchObject({
      topic: "d",
      error: { cents: 3 }
    })
  })

  /** What comes of a step that never answers, once the virtual clock has gone on by so much. */
  const after = (run: Run, millis: number) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.exit(run({})))
      yield* TestClock.adjust(millis)
      return yield* Effect.sync(() => fiber.pollUnsafe()).pipe(Effect.tap(() => Fiber.interrupt(fiber)))
    }).pipe(Effect.provide(TestClock.layer()), Effect.runPromise)

  test("after 30 s without an answer it is a defect", async () => {
    const { run } = step(
      payments()
        .mapEffect(() => Effect.never)
        .orDie()
    )
    expect(await after(run, 29_999)).toBeUndefined()
    const exit = await after(run, 30_000)
    const inner = exit !== undefined && Exit.isSuccess(exit) ? exit.value : Exit.die("nothing")
    expect(defectOf(inner)).toMatchObject({
      _tag: "TimeoutError",
      message: expect.stringContaining("longer than 30000 ms")
    })
  })

  test("or the error that the user wants, for each attempt anew", async () => {
    const options = { timeout: "1 second", timeoutError: () => new TooSlow(), retry: Schedule.recurs(2) } as const
    const { run } = step(
      payments()
        .mapEffect(() => Effect.never, options)
        .catchTag("TooSlow", DeadLetter.to("slow"))
    )
    expect(await after(run, 2_999)).toBeUndefined()
    expect(await after(run, 3_000)).toMatchObject({ value: { value: { topic: "slow", error: { _tag: "TooSlow" } } } })
  })

  test("Infinity waits for ever", async () => {
    expect(
      await after(step(payments().mapEffect(() => Effect.never, { timeout: "Infinity" })).run, 1e9)
    ).toBeUndefined()
  })
})
