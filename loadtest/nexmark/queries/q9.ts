import { Schema } from "effect"
import { Pipeline, Sink } from "headrace"
import { Auction, Bid } from "../schemas.ts"
import { winners } from "./winners.ts"

const { auction, bidder, price } = Bid.fields
const WinningBid = Schema.Struct({
  ...Auction.fields,
  auction,
  bidder,
  price,
  bidDateTime: Schema.Int,
  bidExtra: Schema.String
})

/** Winning bids: of each auction, when it has closed. */
export default winners(Pipeline.make("nexmark-q9"))
  .map(({ auction, bid: { dateTime: bidDateTime, extra: bidExtra, ...bid } }) => ({
    ...bid,
    ...auction,
    bidDateTime,
    bidExtra
  }))
  .to(Sink.kafka("nexmark.q9", WinningBid))
