import { Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"
import { Bid } from "../schemas.ts"
import { inTime, sideInput } from "../sources.ts"

const { auction, bidder, price, dateTime } = Bid.fields
const Placed = Schema.Struct({ auction, bidder, price, dateTime }).annotate({ identifier: "Bid" })
const bids = Source.kafka("nexmark.bids", Placed, { ...inTime, key: "auction" })
const Enriched = Schema.Struct({ ...Placed.fields, value: Schema.String })

const query = Pipeline.make("nexmark-q13")

/** Bounded side input: each bid with what a small table has for its auction. */
export default query
  .from(bids)
  .keyBy(bid => bid.auction % 10_000)
  .tableJoin(
    query.from(sideInput).keyBy(row => row.key),
    { id: "side" },
    (bid, { value }) => ({ ...bid, value })
  )
  .to(Sink.kafka("nexmark.q13", Enriched))
