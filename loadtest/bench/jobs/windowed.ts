import { Agg, Pipeline, Sink, Source, Window } from "headrace"
import { AccountEvent, Spend } from "../../src/scenarios/payments/schemas.ts"

/** Filter (85 % pass), key by account, sum up in 10 s windows. */
export default Pipeline.make("bench-windowed")
  .from(Source.kafka("payments", AccountEvent, { eventTime: e => e.at, outOfOrderness: "20 seconds", key: "account" }))
  .filter(e => e.kind === "payment")
  .keyBy(e => e.account)
  .window(Window.tumbling("10 seconds"), {
    spent: Agg.sum(e => e.cents),
    payments: Agg.count(),
    largest: Agg.max(e => e.cents)
  })
  .to(Sink.kafka("bench.windowed", Spend))
