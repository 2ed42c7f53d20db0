import { Pipeline, Sink, Source } from "headrace"
import { riskOf } from "../../src/scenarios/payments/risk.ts"
import { AccountEvent, ScoredEvent } from "../../src/scenarios/payments/schemas.ts"

/** Every event gets a field more: 1:1. */
export default Pipeline.make("bench-enriched")
  .from(Source.kafka("payments", AccountEvent, { eventTime: e => e.at, outOfOrderness: "20 seconds", key: "account" }))
  .extend({ risk: riskOf })
  .to(Sink.kafka("bench.enriched", ScoredEvent))
