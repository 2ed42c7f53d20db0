import { Agg, Pipeline, Sink, Source, Window } from "headrace"
import { isWatched, patterns } from "./fraud.ts"
import { riskOf } from "./risk.ts"
import { AccountEvent, Alert, ScoredEvent, Spend } from "./schemas.ts"

/** The events, before anything is done with them. */
export const events = Pipeline.make("payments").from(
  Source.kafka("payments", AccountEvent, { eventTime: e => e.at, outOfOrderness: "20 seconds", key: "account" })
)

export const scored = events
  .extend({ risk: riskOf })
  .to(Sink.kafka("payments.scored", ScoredEvent), Sink.clickhouse("scored"))

export const spend = events
  .filter(e => e.kind === "payment")
  .keyBy(e => e.account)
  .window(
    Window.tumbling("10 seconds"),
    { spent: Agg.sum(e => e.cents), payments: Agg.count(), largest: Agg.max(e => e.cents) },
    { late: Sink.kafka("payments.late", AccountEvent) }
  )
  .to(Sink.kafka("payments.spend", Spend), Sink.clickhouse("spend"))

/** Events of one time in the order of their ids: what is found does not depend on how they came. */
export const alerts = events
  .filter(isWatched)
  .keyBy(e => e.account)
  .matchAll("fraud", patterns, { order: (a, b) => a.id - b.id })
  .to(Sink.kafka("payments.alerts", Alert), Sink.clickhouse("alerts"))

/** Scores every event, sums up what each account spends in 10 s, and looks for four patterns of fraud. */
export default Pipeline.all(scored, spend, alerts)
