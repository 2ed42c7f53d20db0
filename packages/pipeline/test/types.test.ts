/** tsc is the judge here: each `@ts-expect-error` fails the type check if its line compiles. */
import { describe, expect, test } from "bun:test"
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import {
  Agg,
  type Change,
  DeadLetter,
  Evictor,
  Pattern,
  Pipeline,
  Sink,
  Source,
  Trigger,
  toPlan,
  Window
} from "../src/index.ts"
import { enrich, Payment, payments, Spend, spendPerAccount, type UnknownMerchant } from "./payments.ts"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_T extends true>(): void => undefined
type RecordOf<S> = S extends { readonly "~stream": { readonly record: infer A } } ? A : never
type KeyOf<S> = S extends { readonly "~stream": { readonly key: infer K } } ? K : never
type ErrorOf<S> = S extends { readonly "~stream": { readonly error: infer E } } ? E : never
type ServicesOf<S> = S extends { readonly "~stream": { readonly services: infer R } } ? R : never

class Merchants extends Context.Service<Merchants, { readonly risk: (id: string) => Effect.Effect<number> }>()(
  "test/Merchants"
) {
  static readonly layer = Layer.succeed(Merchants, { risk: () => Effect.succeed(1) })
}
class Declined extends Schema.TaggedError<Declined>()("Declined", { why: Schema.String }) {}
class TooSlow extends Schema.TaggedError<TooSlow>()("TooSlow", {}) {}

const score = (p: Payment) =>
  Effect.map(
    Merchants.use(m => m.risk(p.merchant)),
    risk => ({ account: p.account, risk })
  )
const decline = (p: Payment) => (p.cents > 0 ? Effect.succeed(p) : Effect.fail(new Declined({ why: "empty" })))
const WithRisk = Schema.Struct({ account: Schema.String, risk: Schema.Number })
const isCapture = (p: Payment): p is Payment & { readonly kind: "capture" } => p.kind === "capture"

describe("each step's type follows from the one before", () => {
  test("records", () => {
    const guarded = payments().filter(isCapture)
    holds<Equal<RecordOf<typeof guarded>["kind"], "capture">>()
    const extended = payments().extend({ risk: p => p.cents / 2, large: p => p.cents > 100 })
    holds<Equal<RecordOf<typeof extended>["risk"], number>>()
    holds<Equal<RecordOf<typeof extended>["large"], boolean>>()
    holds<Equal<RecordOf<typeof extended>["account"], string>>()
    const exploded = payments().flatMap(p => [{ half: p.cents / 2 }])
    holds<Equal<RecordOf<typeof exploded>, { half: number }>>()
    expect(exploded.last.id).toBe("flatMap")
  })

  test("side outputs", () => {
    const Alert = Schema.Struct({ why: Schema.String })
    const checked = payments()
      .keyBy(p => p.account)
      .process("checked", {
        emits: Payment,
        sides: { alerts: Alert },
        state: {},
        onRecord: (p, { emit, emitTo }) => {
          emit(p)
          emitTo("alerts", { why: p.kind })
          // @ts-expect-error: that is no alert
          emitTo("alerts", p)
          // @ts-expect-error: there is no such side
          emitTo("others", { why: p.kind })
        }
      })
    const alerts = checked.side("alerts")
    holds<Equal<RecordOf<typeof alerts>, { readonly why: string }>>()
    // @ts-expect-error: there is no such side
    expect(() => checked.side("others")).toThrow('no side output "others"')
  })

  test("triggers, gaps and evictors of a join see the records of both sides", () => {
    const Refund = Schema.Struct({ account: Schema.String, refunded: Schema.Number })
    const left = payments().keyBy(p => p.account)
    const right = payments()
      .map(p => ({ account: p.account, refunded: 1 }))
      .as(Refund)
      .keyBy(r => r.account)
    const pair = (p: Payment, r: (typeof Refund)["Type"]) => ({ cents: p.cents - r.refunded })
    const of = <A>(gap: (record: A) => number) => Window.session(gap)
    const both = of((one: Payment | (typeof Refund)["Type"]) => ("cents" in one ? 1 : 2))
    expect(left.windowJoin(right, both, { id: "both" }, pair).last.id).toBe("both")
    const own = of((p: Payment) => p.cents)
    // @ts-expect-error: it is called with refunds too, which have no cents
    left.windowJoin(right, own, { id: "one" }, pair)
    // @ts-expect-error: so is a co-group's
    left.coGroup(right, own, { id: "group" }, all => ({ n: all.length }))
  })

  test("window joins that take back give changes", () => {
    const keyedPayments = () => payments().keyBy(p => p.account)
    const window = Window.tumbling("1 minute")
    const cents = (left: Payment | undefined, right: Payment) => ({ cents: (left?.cents ?? 0) + right.cents })
    const pairs = keyedPayments().windowJoin(keyedPayments(), window, { id: "pairs", type: "right" }, cents)
    holds<Equal<RecordOf<typeof pairs>, { cents: number }>>()
    const options = { id: "changes", type: "right", updates: "retract" } as const
    const changes = keyedPayments().windowJoin(keyedPayments(), window, options, cents)
    holds<Equal<RecordOf<typeof changes>, Change<{ cents: number }>>>()
    const counts = keyedPayments().coGroup(keyedPayments(), window, { id: "counts", updates: "retract" }, all => ({
      n: all.length
    }))
    holds<Equal<RecordOf<typeof counts>, Change<{ n: number }>>>()
    // @ts-expect-error: a table's row is found by its key, and pairs have none
    keyedPayments().windowJoin(keyedPayments(), window, { id: "upserts", updates: "upsert" }, cents)
    // @ts-expect-error: these are changes, and the topic is to have what they are of
    changes.to(Sink.kafka("cents", Schema.Struct({ cents: Schema.Number })))
    expect(changes.last.id).toBe("changes")
  })

  test("triggers and evictors see the stream's records", () => {
    type Other = { readonly other: string }
    const own = <A>(says: (record: A) => boolean): Trigger.Trigger<A> => ({
      name: "own",
      onElement: (_, __, record) => (says(record) ? "fire" : "continue"),
      onTime: () => "continue",
      onMerge: () => {}
    })
    const keyed = payments().keyBy(p => p.account)
    const n = { n: Agg.count() }
    const large = Window.session("1 minute", { trigger: own((p: Payment) => p.cents > 100) })
    expect(keyed.window(large, n).last.id).toBe("window:payments/account/session60s")
    // @ts-expect-error: the trigger wants other records
    keyed.window(Window.tumbling("1 minute", { trigger: own((r: Other) => r.other === "") }), n)
    const others = Evictor.ofRecords("others", (all: readonly Evictor.Element<Other>[]) => all)
    // @ts-expect-error: so does the evictor
    keyed.window(Window.tumbling("1 minute", { evictor: others, trigger: Trigger.count(1) }), n)
  })

  test("keys and windows", () => {
    const keyed = payments().keyBy(p => p.cents)
    holds<Equal<KeyOf<typeof keyed>, number>>()
    const windowed = keyed.window(Window.tumbling("1 minute"), {
      spent: Agg.sum(p => p.cents),
      seen: Agg.count(),
      widest: Agg.custom({
        state: Schema.Array(Schema.String),
        init: () => [],
        add: (kinds, p) => [...kinds, p.kind],
        result: kinds => kinds.join()
      })
    })
    type Out = RecordOf<typeof windowed>
    holds<Equal<Out["key"], number>>()
    holds<Equal<Out["windowStart"], number>>()
    holds<Equal<Out["spent"], number>>()
    holds<Equal<Out["widest"], string>>()
    expect(windowed.last.id).toBe("window:payments/cents/60s")
  })

  test("errors and services", () => {
    const open = payments().mapEffect(enrich)
    holds<Equal<ErrorOf<typeof open>, UnknownMerchant>>()
    const both = payments()
      .mapEffect(decline)
      .mapEffect(enrich, { timeoutError: () => new TooSlow() })
    holds<Equal<ErrorOf<typeof both>, Declined | UnknownMerchant | TooSlow>>()
    const one = both.catchTag("Declined", DeadLetter.to("dlq"))
    holds<Equal<ErrorOf<typeof one>, UnknownMerchant | TooSlow>>()
    const rest = one.catch(DeadLetter.to("dlq"))
    holds<Equal<ErrorOf<typeof rest>, never>>()
    const later = both.filter(p => p.cents > 0).catchTag("UnknownMerchant", DeadLetter.to("dlq"))
    holds<Equal<ErrorOf<typeof later>, Declined | TooSlow>>()
    const fatal = both.orDie()
    holds<Equal<ErrorOf<typeof fatal>, never>>()
    const needs = payments().mapEffect(score)
    holds<Equal<ServicesOf<typeof needs>, Merchants>>()
    expect(needs.last.id).toBe("mapEffect:score")
  })

  test("a replacement joins the record, its own errors the errors", () => {
    const replaced = payments()
      .mapEffect(enrich)
      .catchTag("UnknownMerchant", error => ({ missing: error.merchant }))
    holds<Equal<ErrorOf<typeof replaced>, never>>()
    holds<Equal<Extract<RecordOf<typeof replaced>, { missing: string }>, { missing: string }>>()
    const again = payments()
      .mapEffect(enrich)
      .catchTag("UnknownMerchant", error => Effect.fail(new Declined({ why: error.merchant })))
    holds<Equal<ErrorOf<typeof again>, Declined>>()
    expect(again.last.spec.kind).toBe("mapEffect")
  })
})

/** Never called: these lines are here for the compiler. */
export const rejected = () => {
  const stream = payments()
  const keyed = stream.keyBy(p => p.account)
  const enriched = stream.mapEffect(enrich)
  const both = stream.mapEffect(decline).mapEffect(enrich)
  const minute = Window.tumbling("1 minute")
  const dlq = DeadLetter.to("dlq")
  const needs = stream.mapEffect(score).to(Sink.kafka("risk", WithRisk))
  // @ts-expect-error a field that the event lacks
  stream.filter(p => p.amount > 1)
  // @ts-expect-error map must give an object
  stream.map(p => p.cents)
  // @ts-expect-error extend must not change a field
  stream.extend({ cents: p => `${p.cents}` })
  // @ts-expect-error a key is a string, number or bigint
  stream.keyBy(p => new Date(p.at))
  // @ts-expect-error windows need a key
  stream.window(minute, { n: Agg.count() })
  // @ts-expect-error an aggregate reads a field that the event lacks
  keyed.window(minute, { n: Agg.sum(p => p.amount) })
  // @ts-expect-error a sum needs numbers
  keyed.window(minute, { n: Agg.sum(p => p.account) })
  // @ts-expect-error the record lacks what the sink's schema demands
  stream.to(Sink.kafka("spend", Spend))
  // @ts-expect-error the event time is a number
  Source.kafka("payments", Payment, { eventTime: p => p.account })
  // @ts-expect-error not a duration
  Window.tumbling("10 secs")
  // @ts-expect-error a table is filled from a topic
  stream.to(Sink.clickhouse("payments"))
  // @ts-expect-error unhandled error
  enriched.to(Sink.kafka("out", Payment))
  // @ts-expect-error one of two errors is unhandled
  both.catchTag("Declined", dlq).to(Sink.kafka("out", Payment))
  // @ts-expect-error no step fails with this tag
  enriched.catchTag("Declined", dlq)
  // @ts-expect-error a replacement stands right behind its step
  enriched.filter(p => p.cents > 0).catchTag("UnknownMerchant", () => ({ cents: 0 }))
  // @ts-expect-error a replacement is for the last step's errors, not for those before
  both.catchTag("Declined", () => ({ cents: 0 }))
  // @ts-expect-error late records have the type of the window's input
  keyed.window(minute, { n: Agg.count() }, { late: Sink.kafka("late", Spend) })
  // @ts-expect-error services are missing
  toPlan(needs)
  // @ts-expect-error services of one branch are missing
  toPlan(Pipeline.all(needs, stream.to(Sink.kafka("copy", Payment))))
}

describe("what compiles", () => {
  test("services provided, errors fatal", () => {
    const provided = payments().mapEffect(score).to(Sink.kafka("risk", WithRisk)).provide(Merchants.layer)
    expect(toPlan(provided).nodes).toHaveLength(3)
    const retried = payments()
      .mapEffect(enrich, { retry: Schedule.exponential("50 millis"), timeout: "1 second" })
      .orDie()
      .to(Sink.kafka("out", Payment), Sink.clickhouse("out"))
    expect(toPlan(Pipeline.all(retried)).nodes).toHaveLength(4)
    expect(toPlan(spendPerAccount()).name).toBe("spend-per-account")
  })
})

/** Patterns that do not compile. */
export const rejectedPatterns = () => {
  const pattern = Pattern.begin("first", (p: Payment) => p.cents > 1).followedBy("middle")
  const keyed = payments().keyBy(p => p.account)
  keyed.match("right", pattern, {
    select: match => {
      holds<Equal<typeof match.middle, readonly Payment[]>>()
      return { found: match.first.length }
    }
  })
  // What the first step says of events holds for all others.
  pattern
    .followedBy("other", p => holds<Equal<typeof p, Payment>>() ?? p.cents > 1)
    .where((p, taken) => p.cents > taken.of("middle").length)
    .or(p => p.cents > 3)
  // @ts-expect-error no step has this name
  keyed.match("misspelt", pattern, { select: match => ({ found: match.midle }) })
  // @ts-expect-error the skip strategy names no step
  pattern.skipToFirst("midle")
  // @ts-expect-error a condition looks at events of no step
  pattern.followedBy("last", (p: Payment, taken) => taken.of("midle").length < p.cents)
  // @ts-expect-error two steps have one name
  pattern.followedBy("first")
  // @ts-expect-error patterns need a key
  payments().match("unkeyed", pattern, { select: match => ({ found: match.first }) })
}
