import { Schema } from "effect"
import { Pipeline, Sink } from "headrace"
import { Auction, Bid } from "../schemas.ts"
import { auctions, bids } from "../sources.ts"

const CATEGORY = 10
const { dateTime: bidDateTime, extra: bidExtra, ...bid } = Bid.fields
const { id, dateTime: auctionDateTime, extra: auctionExtra, ...auction } = Auction.fields
const Expanded = Schema.Struct({ ...bid, bidDateTime, bidExtra, ...auction, auctionDateTime, auctionExtra })

const query = Pipeline.make("nexmark-q20")

/**
 * Expand bid with auction, in category 10. An auction is given an hour for its bids, and a bid that came before its
 * auction waits for ten seconds.
 */
export default query
  .from(bids)
  .keyBy(bid => bid.auction)
  .intervalJoin(
    query
      .from(auctions)
      .filter(auction => auction.category === CATEGORY)
      .keyBy(auction => auction.id),
    { id: "expanded", from: "-1 hour", to: "10 seconds" },
    ({ dateTime: bidDateTime, extra: bidExtra, ...bid }, { id: _, dateTime, extra, ...auction }) => ({
      ...bid,
      bidDateTime,
      bidExtra,
      ...auction,
      auctionDateTime: dateTime,
      auctionExtra: extra
    })
  )
  .to(Sink.kafka("nexmark.q20", Expanded))
