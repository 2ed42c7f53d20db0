import { Pipeline, Sink, Source } from "headrace"
import { AccountEvent } from "../../src/scenarios/payments/schemas.ts"

/** A lane that merely consumes: every event is read, checked and dropped, and the offsets are committed. */
export default Pipeline.make("bench-consumed")
  .from(Source.kafka("payments", AccountEvent, { eventTime: e => e.at, outOfOrderness: "20 seconds", key: "account" }))
  .filter(() => false)
  .to(Sink.kafka("bench.consumed", AccountEvent))
