import { Schema } from "effect"
import { Pipeline, Sink } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"

const KNOWN: Readonly<Record<string, string>> = { apple: "0", google: "1", facebook: "2", baidu: "3" }
const { auction, bidder, price, channel } = Bid.fields

const channelId = ({ channel, url }: Bid): string | undefined =>
  KNOWN[channel.toLowerCase()] ?? /(?:&|^)channel_id=([^&]*)/.exec(url)?.[1]

/** Add channel id: from a list, or from the address; bids that say it nowhere are left out. */
export default Pipeline.make("nexmark-q21")
  .from(bids)
  .extend({ channelId: bid => channelId(bid) ?? "" })
  .filter(bid => bid.channelId !== "")
  .to(Sink.kafka("nexmark.q21", Schema.Struct({ auction, bidder, price, channel, channelId: Schema.String })))
