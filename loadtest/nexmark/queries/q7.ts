import { Schema } from "effect"
import { Agg, Pipeline, Sink, Window } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"

const PERIOD = "10 seconds"
const Highest = Schema.Struct({
  key: Schema.Int,
  windowStart: Schema.Int,
  windowEnd: Schema.Int,
  price: Schema.Int
})

const all = Pipeline.make("nexmark-q7").from(bids)

/** The highest price of each period: of each auction first, then of all of them. */
const highest = all
  .keyBy(bid => bid.auction)
  .window(Window.tumbling(PERIOD), { price: Agg.max(bid => bid.price) })
  .as(Highest)
  .keyBy(ofAuction => ofAuction.windowEnd)
  .window(Window.tumbling(PERIOD), { price: Agg.max(ofAuction => ofAuction.price) })
  .as(Highest)

/**
 * Highest bid: the bids of each 10 seconds that nobody bid more than. The price comes at the end of its period, and is then
 * joined with the bids of the period that were as high.
 */
export default all
  .keyBy(bid => bid.price)
  .intervalJoin(
    highest.keyBy(period => period.price),
    { id: "highest", from: 0, to: PERIOD, exclusive: { to: true } },
    bid => bid
  )
  .to(Sink.kafka("nexmark.q7", Bid))
