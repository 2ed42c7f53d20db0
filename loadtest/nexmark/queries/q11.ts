import { Schema } from "effect"
import { Agg, Pipeline, Sink, Source, Window } from "headrace"
import { Bid } from "../schemas.ts"
import { inTime } from "../sources.ts"

const { auction, bidder, dateTime } = Bid.fields
const Placed = Schema.Struct({ auction, bidder, dateTime }).annotate({ identifier: "Bid" })
const bids = Source.kafka("nexmark.bids", Placed, { ...inTime, key: "auction" })

const Session = Schema.Struct({
  bidder: Schema.Int,
  bids: Schema.Int,
  startTime: Schema.Int,
  endTime: Schema.Int
})

/** User sessions: how many bids somebody made without a break of 10 seconds. */
export default Pipeline.make("nexmark-q11")
  .from(bids)
  .keyBy(bid => bid.bidder)
  .window(Window.session("10 seconds"), { bids: Agg.count() })
  .map(({ key, bids, windowStart, windowEnd }) => ({ bidder: key, bids, startTime: windowStart, endTime: windowEnd }))
  .to(Sink.kafka("nexmark.q11", Session))
