import { Schema } from "effect"
import { Pipeline, Sink, State } from "headrace"
import { winners } from "./winners.ts"

const LAST = 10
const SellerPrice = Schema.Struct({ seller: Schema.Int, average: Schema.Finite })

/**
 * Average selling price by seller: over the last ten auctions that have closed. Which those are is a matter of event time,
 * and winners come from several partitions: each waits until the watermark has reached the time of its closing.
 */
export default winners(Pipeline.make("nexmark-q6"))
  .keyBy(({ auction }) => auction.seller)
  .process("selling-prices", {
    emits: SellerPrice,
    state: {
      closed: State.map(Schema.Int, Schema.Struct({ at: Schema.Int, price: Schema.Int })),
      prices: State.value(Schema.Array(Schema.Int))
    },
    onRecord: ({ auction, bid }, { timestamp, state, timers }) => {
      state.closed.set(auction.id, { at: timestamp, price: bid.price })
      timers.register(timestamp)
    },
    onTimer: (time, { key, state, emit }) => {
      for (const [auction, { at, price }] of state.closed.entries()) {
        if (at !== time) continue
        state.closed.delete(auction)
        const prices = [...(state.prices.get() ?? []), price].slice(-LAST)
        state.prices.set(prices)
        emit({ seller: key, average: prices.reduce((sum, one) => sum + one, 0) / prices.length })
      }
    }
  })
  .to(Sink.kafka("nexmark.q6", SellerPrice))
