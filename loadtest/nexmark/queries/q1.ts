import { Schema } from "effect"
import { Pipeline, Sink } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"
import { euros } from "./money.ts"

const { auction, bidder, dateTime, extra } = Bid.fields
const Converted = Schema.Struct({ auction, bidder, euros: Schema.Finite, dateTime, extra })

/** Currency conversion: each bid in euros. */
export default Pipeline.make("nexmark-q1")
  .from(bids)
  .extend({ euros: bid => euros(bid.price) })
  .to(Sink.kafka("nexmark.q1", Converted))
