import { Schema } from "effect"
import { Agg, Pipeline, Sink, Trigger, Window } from "headrace"
import { winners } from "./winners.ts"

const CategoryPrice = Schema.Struct({ category: Schema.Int, final: Schema.Finite })

/** Average price for a category: of all auctions that have closed so far, anew with each that does. */
export default winners(Pipeline.make("nexmark-q4"))
  .keyBy(({ auction }) => auction.category)
  .window(Window.global({ trigger: Trigger.count(1) }), { final: Agg.average(({ bid }) => bid.price) })
  .map(({ key, final }) => ({ category: key, final }))
  .to(Sink.kafka("nexmark.q4", CategoryPrice))
