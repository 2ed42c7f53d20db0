import { Pipeline, Sink } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"

/** Find last bid: the latest of each bidder in each auction, as a topic whose last record of a key is the one that counts. */
export default Pipeline.make("nexmark-q18")
  .from(bids)
  .keyBy(bid => `${bid.bidder}/${bid.auction}`)
  .deduplicate({ id: "last-bids", keep: "last", emit: "changes" })
  .filter(({ op }) => op !== "-U")
  .map(({ record }) => record)
  .to(Sink.kafka("nexmark.q18", Bid))
