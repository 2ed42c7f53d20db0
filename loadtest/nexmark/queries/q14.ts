import { Schema } from "effect"
import { Pipeline, Sink } from "headrace"
import { Bid } from "../schemas.ts"
import { bids } from "../sources.ts"
import { euros } from "./money.ts"

const { auction, bidder, dateTime, extra } = Bid.fields
const Calculated = Schema.Struct({
  auction,
  bidder,
  euros: Schema.Finite,
  bidTimeType: Schema.Literals(["dayTime", "nightTime", "otherTime"]),
  dateTime,
  extra,
  cCount: Schema.Int
})

const HOUR_MS = 3_600_000

const timeType = (time: number): (typeof Calculated.Type)["bidTimeType"] => {
  const hour = Math.floor(time / HOUR_MS) % 24
  if (hour >= 8 && hour <= 18) return "dayTime"
  return hour <= 6 || hour >= 20 ? "nightTime" : "otherTime"
}

const count = (letter: string, text: string): number => text.split(letter).length - 1

/** Calculation: bids within a range of prices, with what some functions make of them. */
export default Pipeline.make("nexmark-q14")
  .from(bids)
  .filter(bid => euros(bid.price) > 1_000_000 && euros(bid.price) < 50_000_000)
  .extend({
    euros: bid => euros(bid.price),
    bidTimeType: bid => timeType(bid.dateTime),
    cCount: bid => count("c", bid.extra)
  })
  .to(Sink.kafka("nexmark.q14", Calculated))
