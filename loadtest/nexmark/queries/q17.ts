import { Schema } from "effect"
import { Agg, Pipeline, Sink, Trigger, Window } from "headrace"
import { bids } from "../sources.ts"
import { Counts, counts, day } from "./statistics.ts"

const Report = Schema.Struct({
  auction: Schema.Int,
  day: Schema.String,
  ...Counts,
  minPrice: Schema.Int,
  maxPrice: Schema.Int,
  averagePrice: Schema.Finite,
  sumPrice: Schema.Int
})

/** Auction statistics report: of each auction and day so far, anew with each bid. */
export default Pipeline.make("nexmark-q17")
  .from(bids)
  .keyBy(bid => bid.auction)
  .window(Window.tumbling("1 day", { trigger: Trigger.count(1) }), {
    ...counts,
    minPrice: Agg.min(bid => bid.price),
    maxPrice: Agg.max(bid => bid.price),
    averagePrice: Agg.average(bid => bid.price),
    sumPrice: Agg.sum(bid => bid.price)
  })
  .map(({ key, windowStart, ...report }) => ({ auction: key, day: day(windowStart), ...report }))
  .to(Sink.kafka("nexmark.q17", Report))
