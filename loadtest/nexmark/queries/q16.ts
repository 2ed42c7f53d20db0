import { Schema } from "effect"
import { Agg, Pipeline, Sink, Source, Trigger, Window } from "headrace"
import { inTime } from "../sources.ts"
import { day, minute, Placed, Statistics, statistics } from "./statistics.ts"

const bids = Source.kafka("nexmark.bids", Placed, { ...inTime, key: "auction" })

const Report = Schema.Struct({ channel: Schema.String, day: Schema.String, minute: Schema.String, ...Statistics })

/** Channel statistics report: of each channel and day so far, anew with each bid. */
export default Pipeline.make("nexmark-q16")
  .from(bids)
  .keyBy(bid => bid.channel)
  .window(Window.tumbling("1 day", { trigger: Trigger.count(1) }), {
    last: Agg.max(bid => bid.dateTime),
    ...statistics
  })
  .map(({ key, windowStart, last, ...report }) => ({
    channel: key,
    day: day(windowStart),
    minute: minute(last),
    ...report
  }))
  .to(Sink.kafka("nexmark.q16", Report))
