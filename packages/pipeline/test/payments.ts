import { Effect, Schedule, Schema } from "effect"
import { Agg, DeadLetter, Pipeline, Sink, Source, Window } from "../src/index.ts"

export class Payment extends Schema.Class<Payment>("Payment")({
  account: Schema.String,
  kind: Schema.String,
  merchant: Schema.String,
  cents: Schema.Number,
  at: Schema.Number
}) {}

export class Spend extends Schema.Class<Spend>("Spend")({
  key: Schema.String,
  windowStart: Schema.Number,
  windowEnd: Schema.Number,
  spent: Schema.Number,
  payments: Schema.Number
}) {}

export class UnknownMerchant extends Schema.TaggedError<UnknownMerchant>()("UnknownMerchant", {
  merchant: Schema.String
}) {}

export const enrich = (p: Payment) =>
  p.merchant === ""
    ? Effect.fail(new UnknownMerchant({ merchant: p.merchant }))
    : Effect.succeed({ ...p, category: p.merchant.slice(0, 1) })

export const payments = () =>
  Pipeline.make("spend-per-account").from(
    Source.kafka("payments", Payment, { eventTime: p => p.at, outOfOrderness: "20 seconds", key: "account" })
  )

export const spendPerAccount = () =>
  payments()
    .filter(p => p.kind === "capture")
    .keyBy(p => p.account)
    .mapEffect(enrich, { concurrency: 64, retry: Schedule.recurs(3) })
    .catchTag("UnknownMerchant", DeadLetter.to("payments.dlq"))
    .window(Window.tumbling("10 seconds"), { spent: Agg.sum(p => p.cents), payments: Agg.count() })
    .to(Sink.kafka("spend", Spend), Sink.clickhouse("spend"))
