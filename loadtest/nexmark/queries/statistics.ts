import { Schema } from "effect"
import { Agg } from "headrace"
import { Bid } from "../schemas.ts"

const { auction, bidder, price, dateTime, channel } = Bid.fields
/** What the reports are about. */
export const Placed = Schema.Struct({ auction, bidder, price, dateTime, channel }).annotate({ identifier: "Bid" })
type Placed = typeof Placed.Type

/** Three levels of price: below 10,000 cents, below a million, and from there. */
const rank = (price: number): number => (price < 10_000 ? 1 : price < 1_000_000 ? 2 : 3)

const bidsOf = (of: number) => Agg.sum((bid: Placed) => (rank(bid.price) === of ? 1 : 0))
const distinct = (field: "bidder" | "auction", of: number) =>
  Agg.distinctCount((bid: Placed) => (rank(bid.price) === of ? bid[field] : undefined))

/** How many bids, in all and of each rank: what q15, q16 and q17 begin with. */
export const counts = { totalBids: Agg.count(), rank1Bids: bidsOf(1), rank2Bids: bidsOf(2), rank3Bids: bidsOf(3) }
export const Counts = {
  totalBids: Schema.Int,
  rank1Bids: Schema.Int,
  rank2Bids: Schema.Int,
  rank3Bids: Schema.Int
}

/** The same of those who bid, and of what they bid for: q15 and q16. */
export const statistics = {
  ...counts,
  totalBidders: Agg.distinctCount((bid: Placed) => bid.bidder),
  rank1Bidders: distinct("bidder", 1),
  rank2Bidders: distinct("bidder", 2),
  rank3Bidders: distinct("bidder", 3),
  totalAuctions: Agg.distinctCount((bid: Placed) => bid.auction),
  rank1Auctions: distinct("auction", 1),
  rank2Auctions: distinct("auction", 2),
  rank3Auctions: distinct("auction", 3)
}
export const Statistics = {
  ...Counts,
  totalBidders: Schema.Int,
  rank1Bidders: Schema.Int,
  rank2Bidders: Schema.Int,
  rank3Bidders: Schema.Int,
  totalAuctions: Schema.Int,
  rank1Auctions: Schema.Int,
  rank2Auctions: Schema.Int,
  rank3Auctions: Schema.Int
}

/** 1767225600000 as 2026-01-01. */
export const day = (time: number): string => new Date(time).toISOString().slice(0, 10)
/** 1767225600000 as 00:00. */
export const minute = (time: number): string => new Date(time).toISOString().slice(11, 16)
