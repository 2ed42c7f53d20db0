/** Which process may go on in the place of another one. */
import { afterAll, expect, test } from "bun:test"
import { Effect, Fiber, Schema } from "effect"
import { Agg, Pipeline, Sink, Source, State, toPlan, Window } from "headrace"
import { Handover, Identity, identityOf, obstacle } from "../src/handover.ts"
import { Questions } from "../src/pattern/questions.ts"
import type { Savepoints } from "../src/savepoint/ending.ts"
import { serve } from "../src/server.ts"
import { Status } from "../src/status.ts"
import { mayTakeOver } from "../src/takeover.ts"

const Payment = Schema.Struct({ account: Schema.String, cents: Schema.Int, at: Schema.Int })
const Spend = Schema.Struct({
  key: Schema.String,
  windowStart: Schema.Int,
  windowEnd: Schema.Int,
  spent: Schema.Int
})
type Payment = typeof Payment.Type

/** A process step that keeps a value of a schema, and a window. */
const version = <A>(
  last: Schema.Codec<A, unknown>,
  of: (payment: Payment) => A,
  { ttl = "1 hour", size = "10 seconds", topic = "payments" } = {}
) => {
  const keyed = Pipeline.make("spend")
    .from(Source.kafka(topic, Payment, { eventTime: one => one.at, key: "account" }))
    .keyBy(one => one.account)
  return toPlan(
    Pipeline.all(
      keyed
        .process("alerts", {
          emits: Payment,
          state: { last: State.value(last, { ttl: ttl as "1 hour" }) },
          onRecord: (payment, { state }) => state.last.set(of(payment))
        })
        .to(Sink.kafka("alerts", Payment)),
      keyed
        .window(Window.tumbling(size as "10 seconds", { id: "spend" }), { spent: Agg.sum(one => one.cents) })
        .to(Sink.kafka("spend", Spend))
    )
  )
}

const job = { app: "spend", instance: "one", lanes: 2 } as Parameters<typeof identityOf>[0]
/** As it comes from the other process. */
const sent = (plan: Parameters<typeof identityOf>[1], as: Partial<typeof job> = {}): Identity =>
  Schema.decodeUnknownSync(Identity)(JSON.parse(JSON.stringify(identityOf({ ...job, ...as }, plan))))

const Cents = Schema.Struct({ cents: Schema.Int })
const cents = ({ cents }: Payment) => ({ cents })
const running = sent(version(Cents, cents))

test("a version that computes otherwise, and keeps state for longer, may", () => {
  expect(obstacle(running, sent(version(Cents, one => ({ cents: one.cents + 1 }), { ttl: "2 hours" })))).toBeUndefined()
})

test("one whose values have another schema may not: their bytes would be read by it", () => {
  const why = obstacle(
    running,
    sent(version(Schema.Struct({ cents: Schema.String }), one => ({ cents: `${one.cents}` })))
  )
  expect(why).toContain("  alerts, state last .cents\n    was:  integer\n    is:   string\n")
  expect(why).toContain("headrace savepoint create")
})

test("nor one whose windows are others, named with what else has changed", () => {
  const why = obstacle(running, sent(version(Schema.Int, one => one.cents, { size: "20 seconds" })))
  expect(why).toContain("  alerts, state last\n    was:  { cents: integer }\n    is:   integer\n")
  expect(why).toContain("  spend, the window's size\n    was:  10000 ms\n    is:   20000 ms\n")
})

test("nor one that has a step more or less", () => {
  const fewer = { ...running, state: running.state.filter(({ id }) => id !== "alerts") }
  const step = "process last: value of { cents: integer } with a ttl, of payments"
  expect(obstacle(running, fewer)).toContain(`  alerts, the step\n    was:  ${step}\n    is:   missing\n`)
  expect(obstacle(fewer, running)).toContain(`  alerts, the step\n    was:  missing\n    is:   ${step}\n`)
})

test.each([
  ["--lanes 2, not 3", { lanes: 3 }],
  ["--instance one, not two", { instance: "two" }],
  ["--app spend, not other", { app: "other" }]
])("nor one of other names: %s", (why, as) => {
  expect(obstacle(running, sent(version(Cents, cents), as))).toContain(why)
})

test("nor one that reads other topics", () => {
  expect(obstacle(running, sent(version(Cents, cents, { topic: "orders" })))).toContain("payments, not orders")
})

let answer: unknown
const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json(answer) })
afterAll(() => server.stop(true))
const url = `http://127.0.0.1:${server.port}`
const asked = (of: unknown) => {
  answer = of
  return Effect.runPromise(Effect.result(mayTakeOver(url, running)))
}

test("who asks before it starts is told why not", async () => {
  expect(await asked(running)).toMatchObject({ _tag: "Success" })
  const other = await asked(sent(version(Schema.Int, one => one.cents)))
  expect(other).toMatchObject({ _tag: "Failure", failure: { _tag: "TakeoverRefused" } })
  expect(String("failure" in other && other.failure.message)).toMatch(
    /^cannot take over from http:.*\n {2}alerts, state last\n {4}was: {2}integer\n {4}is: {3}\{ cents: integer \}/
  )
})

test("a process that says of itself something else, as other versions of Headrace do, is refused", async () => {
  const other = await asked({ ...running, state: "0123456789abcdef" })
  expect(String("failure" in other && other.failure.message)).toContain("job of this version of Headrace")
})

test("who runs refuses as well, whatever it is asked by, and does not stop for it", () =>
  Effect.gen(function* () {
    const status = new Status("spend", [])
    const handover = new Handover(running, status)
    const stops = yield* Effect.forkChild(handover.requested, { startImmediately: true })
    const port = yield* serve(status, {} as Savepoints, handover, new Questions(), "127.0.0.1", 0)
    const post = (identity: Identity) =>
      Effect.promise(async () => {
        const headers = { "content-type": "application/json" }
        const body = JSON.stringify(identity)
        const response = await fetch(`http://127.0.0.1:${port}/takeover`, { method: "POST", headers, body })
        return [response.status, await response.text()] as const
      })
    const [code, text] = yield* post(sent(version(Schema.Int, one => one.cents)))
    expect([code, text]).toEqual([409, expect.stringContaining("  alerts, state last\n    was:  { cents: integer }")])
    expect(stops.pollUnsafe()).toBeUndefined()
    expect(yield* post(running)).toEqual([200, "handed over\n"])
    yield* Fiber.join(stops)
  }).pipe(Effect.scoped, Effect.runPromise))
