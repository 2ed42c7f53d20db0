import { Schema } from "effect"
import { Pipeline, Sink } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"

const { auction, bidder, price, channel } = Bid.fields
const Directories = Schema.Struct({
  auction,
  bidder,
  price,
  channel,
  dir1: Schema.String,
  dir2: Schema.String,
  dir3: Schema.String
})

const directory = (url: string, place: number): string => url.split("/")[place] ?? ""

/** Get URL directories: the first three of each bid's address. */
export default Pipeline.make("nexmark-q22")
  .from(bids)
  .extend({
    dir1: bid => directory(bid.url, 3),
    dir2: bid => directory(bid.url, 4),
    dir3: bid => directory(bid.url, 5)
  })
  .to(Sink.kafka("nexmark.q22", Directories))
