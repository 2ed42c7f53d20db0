import { Schema } from "effect"
import { Pipeline, Sink, Source, Trigger, Window } from "headrace"
import { inTime } from "../sources.ts"
import { day, Placed, Statistics, statistics } from "./statistics.ts"

const bids = Source.kafka("nexmark.bids", Placed, { ...inTime, key: "auction" })

/** Bidding statistics report: of each day so far, anew with each bid. */
export default Pipeline.make("nexmark-q15")
  .from(bids)
  .keyBy(bid => day(bid.dateTime))
  .window(Window.tumbling("1 day", { trigger: Trigger.count(1) }), statistics)
  .map(({ key, ...report }) => ({ day: key, ...report }))
  .to(Sink.kafka("nexmark.q15", Schema.Struct({ day: Schema.String, ...Statistics })))
