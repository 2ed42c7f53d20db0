import { Pipeline, Sink } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"

/** Pass through: what reading and writing alone cost. */
export default Pipeline.make("nexmark-q0").from(bids).to(Sink.kafka("nexmark.q0", Bid))
