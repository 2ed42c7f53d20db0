import { Schema } from "effect"
import { Pipeline, Sink, State } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"

const BEST = 10
const Ranked = Schema.Struct({ ...Bid.fields, rank: Schema.Int })

/** Auction top 10: its highest bids so far, as a topic whose last record of an auction and rank is the one that counts. */
export default Pipeline.make("nexmark-q19")
  .from(bids)
  .keyBy(bid => bid.auction)
  .process("top-bids", {
    emits: Ranked,
    state: { top: State.value(Schema.Array(Bid)) },
    onRecord: (bid, { state, emit }) => {
      const top = state.top.get() ?? []
      const better = top.filter(({ price }) => price >= bid.price).length
      if (better === BEST) return
      const now = top.toSpliced(better, 0, bid).slice(0, BEST)
      state.top.set(now)
      for (let i = better; i < now.length; i++) emit({ ...now[i]!, rank: i + 1 })
    }
  })
  .to(Sink.kafka("nexmark.q19", Ranked, { key: ({ auction, rank }) => `${auction}/${rank}` }))
