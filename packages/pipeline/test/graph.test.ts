/** How plans with several sources and stages are drawn. */
import { expect, test } from "bun:test"
import { Schema } from "effect"
import { explain, mermaid, Pipeline, Sink, Source, toPlan } from "../src/index.ts"

const Order = Schema.Struct({ order: Schema.String, customer: Schema.String, at: Schema.Number })
const Payment = Schema.Struct({ order: Schema.String, cents: Schema.Number, at: Schema.Number })
const Paid = Schema.Struct({ order: Schema.String, cents: Schema.Number })

const pipeline = () => {
  const orders = Pipeline.make("paid")
    .from(Source.kafka("orders", Order, { key: "customer", eventTime: o => o.at }))
    .keyBy(o => o.order)
  const payments = Pipeline.make("paid")
    .from(Source.kafka("payments", Payment, { key: "order", eventTime: p => p.at }))
    .keyBy(p => p.order)
  return orders
    .intervalJoin(payments, { id: "paid", from: 0, to: "1 hour" }, (o, p) => ({ order: o.order, cents: p.cents }))
    .to(Sink.kafka("paid", Paid))
}

test("as a tree: what a join gives stands below its left side", () => {
  expect(explain(toPlan(pipeline()))).toBe(
    [
      "paid",
      "source:orders  topic orders, event time, out of order by 0s, stops at undecodable records",
      "└─ keyBy:order  keyed by the field order",
      "   └─ exchange:paid/left  to the partition of its key, through the topic paid-exchange-paid",
      "      └─ paid  inner join of exchange:paid/left with exchange:paid/right, from 0s to 3600s, state { left: list, right: list }",
      "         └─ kafka:paid  to topic paid",
      "source:payments  topic payments, event time, out of order by 0s, stops at undecodable records",
      "└─ keyBy:order#2  keyed by the field order",
      "   └─ exchange:paid/right  to the partition of its key, through the topic paid-exchange-paid",
      "      └─ → paid"
    ].join("\n")
  )
})

test("as a flowchart", () => {
  const lines = mermaid(toPlan(pipeline())).split("\n")
  expect(lines[0]).toBe("flowchart LR")
  expect(lines).toContain(
    '  n4{{"exchange:paid/left<br/>to the partition of its key, through the topic paid-exchange-paid"}}'
  )
  expect(lines).toContain("  n4 -- left --> n6")
  expect(lines).toContain("  n5 -- right --> n6")
})
