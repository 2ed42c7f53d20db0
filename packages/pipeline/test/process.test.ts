/** The process step: what the builder makes of it, and what a user may write. */
import { expect, test } from "bun:test"
import { Schema } from "effect"
import { digest, explain, type Node, Pipeline, type Process, Sink, State, toPlan } from "../src/index.ts"
import { type Payment, payments } from "./payments.ts"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_T extends true>(): void => undefined

const Alert = Schema.Struct({ account: Schema.String, cents: Schema.Number })
const state = {
  last: State.value(Schema.Number),
  recent: State.list(Schema.String, { ttl: "10 minutes" }),
  byMerchant: State.map(Schema.String, Schema.Number, { ttl: "1 hour" }),
  spent: State.aggregating({
    state: Schema.Number,
    init: () => 0,
    add: (sum, payment: Payment) => sum + payment.cents,
    result: sum => `${sum}`
  })
}
const keyed = () => payments().keyBy(p => p.account)
const built = () =>
  keyed().process("alerts", {
    emits: Alert,
    state,
    onRecord: (payment, { key, processingTime, state, timers, processingTimers, emit }) => {
      holds<Equal<typeof key, string>>()
      holds<Equal<ReturnType<typeof state.last.get>, number | undefined>>()
      holds<Equal<ReturnType<typeof state.recent.get>, readonly string[]>>()
      holds<Equal<ReturnType<typeof state.byMerchant.entries>, readonly (readonly [string, number])[]>>()
      holds<Equal<ReturnType<typeof state.spent.get>, string | undefined>>()
      // @ts-expect-error a payment has no such field
      payment.amount
      // @ts-expect-error the state is a number
      state.last.set("1")
      // @ts-expect-error an alert has cents
      emit({ account: key })
      timers.register(payment.at + 1)
      processingTimers.register(processingTime + 1_000)
    },
    onTimer: (time, { key, emit }) => emit({ account: key, cents: time }),
    onProcessingTimer: (time, { key, emit }) => emit({ account: key, cents: time })
  })
const planOf = () => toPlan(built().to(Sink.kafka("alerts", Alert)))

test("is a node with its functions and the settings of its states", () => {
  const node = planOf().nodes.find((one): one is Extract<Node, { kind: "process" }> => one.kind === "process")
  expect(node).toMatchObject({
    id: "alerts",
    input: "keyBy:account",
    state: {
      last: { kind: "value", ttlMs: undefined },
      recent: { kind: "list", ttlMs: 600_000 },
      byMerchant: { kind: "map", ttlMs: 3_600_000 },
      spent: { kind: "aggregating", ttlMs: undefined }
    }
  })
  expect(node?.onRecord).toBeFunction()
  expect(node?.onTimer).toBeFunction()
  expect(node?.onProcessingTimer).toBeFunction()
})

test("explain says what it keeps", () => {
  expect(explain(planOf())).toContain(
    "alerts  state { last: value, recent: list for 600s, byMerchant: map for 3600s, spent: aggregating }, timers"
  )
})

test("the digest tells states apart", () => {
  const nothing = { emits: Alert, onRecord: () => {} }
  const onTimer = () => {}
  const value = State.value(Schema.Number)
  const variants: readonly Process<
    Payment,
    string,
    { readonly [name: string]: State.State<unknown> },
    typeof Alert.Type
  >[] = [
    { ...nothing, state: { a: value } },
    { ...nothing, state: { b: value } },
    { ...nothing, state: { a: State.list(Schema.Number) } },
    { ...nothing, state: { a: State.value(Schema.Number, { ttl: "1 second" }) } },
    { ...nothing, state: { a: value }, onTimer }
  ]
  const digests = variants.map(one => digest(toPlan(keyed().process("p", one).to(Sink.kafka("out", Alert)))))
  expect(new Set(digests).size).toBe(variants.length)
  expect(digest(planOf())).toBe(digest(planOf()))
})

test("two of one id, an id with blanks and a life of nothing are refused", () => {
  const from = keyed()
  const alerts = (topic: string) =>
    from.process("alerts", { emits: Alert, state, onRecord: () => {} }).to(Sink.kafka(topic, Alert))
  expect(() => toPlan(Pipeline.all(alerts("a"), alerts("b")))).toThrow('have the same id "alerts"')
  expect(() => keyed().process("two words", { emits: Alert, state: {}, onRecord: () => {} })).toThrow("two words")
  expect(() => State.value(Schema.Number, { ttl: 0 })).toThrow("the ttl of a state")
})

test("an unkeyed stream has none", () => {
  expect(() =>
    // @ts-expect-error call keyBy first
    payments().process("alerts", { emits: Alert, state: {}, onRecord: () => {} })
  ).toThrow("call keyBy before process")
})
