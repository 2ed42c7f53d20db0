import { Schema } from "effect"
import { Pipeline, Sink, Source, State } from "headrace"
import { Bid } from "../schemas.ts"
import { inTime } from "../sources.ts"

const { auction, bidder, dateTime } = Bid.fields
const Placed = Schema.Struct({ auction, bidder, dateTime }).annotate({ identifier: "Bid" })
const bids = Source.kafka("nexmark.bids", Placed, { ...inTime, key: "auction" })

const PERIOD_MS = 10_000
const Period = Schema.Struct({
  bidder: Schema.Int,
  bids: Schema.Int,
  startTime: Schema.Int,
  endTime: Schema.Int
})

/**
 * Windows in processing time: how many bids somebody made within 10 seconds of the wall clock. They end though no bid
 * comes any more. Headrace's windows go by event time, so this is a process step.
 */
export default Pipeline.make("nexmark-q12")
  .from(bids)
  .keyBy(bid => bid.bidder)
  .process("periods", {
    emits: Period,
    state: { bids: State.value(Schema.Int) },
    onRecord: (_, { state, processingTime, processingTimers }) => {
      const bids = state.bids.get() ?? 0
      if (bids === 0) processingTimers.register(processingTime - (processingTime % PERIOD_MS) + PERIOD_MS)
      state.bids.set(bids + 1)
    },
    onProcessingTimer: (endTime, { key, state, emit }) => {
      emit({ bidder: key, bids: state.bids.get() ?? 0, startTime: endTime - PERIOD_MS, endTime })
      state.bids.clear()
    }
  })
  .to(Sink.kafka("nexmark.q12", Period))
