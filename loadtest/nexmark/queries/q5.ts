import { Schema } from "effect"
import { Agg, Pipeline, Sink, Window } from "headrace"
import { bids } from "../sources.ts"

const window = { key: Schema.Int, windowStart: Schema.Int, windowEnd: Schema.Int }
const Counted = Schema.Struct({ ...window, bids: Schema.Int })
type Counted = typeof Counted.Type
const HotItem = Schema.Struct({ auction: Schema.Int, bids: Schema.Int, windowStart: Schema.Int, windowEnd: Schema.Int })

/** Those with the most bids: several if they have as many. */
const most = Agg.custom({
  state: Schema.Struct({ bids: Schema.Int, auctions: Schema.Array(Schema.Int) }),
  init: () => ({ bids: 0, auctions: [] }),
  add: (hottest, { key, bids }: Counted) => {
    if (bids < hottest.bids) return hottest
    return { bids, auctions: bids > hottest.bids ? [key] : [...hottest.auctions, key] }
  },
  result: hottest => hottest
})

/**
 * Hot items: which auctions had the most bids in the last 10 seconds, every 2 seconds. In two steps: bids are counted
 * where their auction is, and then those counts, one for each auction, are compared window by window.
 */
export default Pipeline.make("nexmark-q5")
  .from(bids)
  .keyBy(bid => bid.auction)
  .window(Window.sliding("10 seconds", "2 seconds"), { bids: Agg.count() })
  .as(Counted)
  .keyBy(counted => counted.windowEnd)
  .window(Window.tumbling("2 seconds"), { hottest: most })
  .flatMap(({ key, hottest: { auctions, bids } }) =>
    auctions.map(auction => ({ auction, bids, windowStart: key - 10_000, windowEnd: key }))
  )
  .to(Sink.kafka("nexmark.q5", HotItem))
