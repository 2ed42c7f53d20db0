import { Schema } from "effect"
import { Pipeline, Sink } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"

const { auction, price } = Bid.fields

/** Selection: the prices bid in every 123rd auction. */
export default Pipeline.make("nexmark-q2")
  .from(bids)
  .filter(bid => bid.auction % 123 === 0)
  .to(Sink.kafka("nexmark.q2", Schema.Struct({ auction, price })))
