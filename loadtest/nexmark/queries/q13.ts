import { Schema } from "effect"
import { Pipeline, Sink } from "headrace"
import { Bid } from "../schemas.ts"
import { bids, sideInput } from "../sources.ts"

const { auction, bidder, price, dateTime } = Bid.fields
const Enriched = Schema.Struct({ auction, bidder, price, dateTime, value: Schema.String })

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
