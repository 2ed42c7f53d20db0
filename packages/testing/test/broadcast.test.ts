import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Pipeline, Sink, Source, State } from "headrace"
import { TestDriver } from "../src/index.ts"

const Payment = Schema.Struct({ account: Schema.String, cents: Schema.Number })
const Rule = Schema.Struct({ id: Schema.String, above: Schema.NullOr(Schema.Number) })
const Alert = Schema.Struct({ account: Schema.String, rules: Schema.Array(Schema.String), n: Schema.Number })

const rules = () => Pipeline.make("rules").from(Source.kafka("rules", Rule))
const pipeline = () =>
  Pipeline.make("rules")
    .from(Source.kafka("payments", Payment, { key: "account" }))
    .keyBy(p => p.account)
    .broadcast(rules(), "watch", {
      emits: Alert,
      state: { seen: State.value(Schema.Number) },
      broadcast: { key: Schema.String, value: Schema.Number },
      onBroadcast: (rule, map) => (rule.above === null ? map.delete(rule.id) : map.set(rule.id, rule.above)),
      onRecord: (p, { key, state, broadcast, emit }) => {
        const n = (state.seen.get() ?? 0) + 1
        state.seen.set(n)
        const matching = broadcast.entries().filter(([, above]) => p.cents > above)
        if (matching.length > 0) emit({ account: key, rules: matching.map(([id]) => id), n })
      }
    })
    .to(Sink.kafka("alerts", Alert))

test("rules are in every partition, from where they stand among the records on, and over a restore", () => {
  const driver = new TestDriver(pipeline(), { partitions: 3 })
  const pay = (cents: number) => driver.push("payments", ...["a", "b", "c", "d"].map(account => ({ account, cents })))
  pay(100)
  expect(driver.values("alerts")).toEqual([])
  driver.push("rules", { id: "large", above: 50 }, { id: "huge", above: 1_000 })
  driver.restore()
  pay(100)
  const large = (n: number) => ["a", "b", "c", "d"].map(account => ({ account, rules: ["large"], n }))
  expect(driver.values<{ account: string }>("alerts").toSorted((a, b) => (a.account < b.account ? -1 : 1))).toEqual(
    large(2)
  )
  driver.push("rules", { id: "large", above: null })
  pay(100)
  expect(driver.values("alerts")).toEqual([])
})

test("a stream of rules that is quiet does not hold event time back", () => {
  const driver = new TestDriver(pipeline())
  driver.push("payments", { account: "a", cents: 1 })
  driver.watermark(5, "payments")
  driver.push("rules", { id: "all", above: 0 })
  driver.push("payments", { account: "a", cents: 1 })
  expect(driver.values("alerts")).toEqual([{ account: "a", rules: ["all"], n: 2 }])
})
