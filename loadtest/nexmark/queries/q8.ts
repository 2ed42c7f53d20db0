import { Schema } from "effect"
import { Agg, Pipeline, Sink, Source, Window } from "headrace"
import { Auction, Person } from "../schemas.ts"
import { inTime } from "../sources.ts"

const { id, name, dateTime } = Person.fields
const Named = Schema.Struct({ id, name, dateTime }).annotate({ identifier: "Person" })
const persons = Source.kafka("nexmark.persons", Named, { ...inTime, key: "id" })
const Offered = Schema.Struct({ id, seller: Auction.fields.seller, dateTime }).annotate({ identifier: "Auction" })
const auctions = Source.kafka("nexmark.auctions", Offered, { ...inTime, key: "id" })

const PERIOD = "10 seconds"
const Active = Schema.Struct({
  key: Schema.Int,
  windowStart: Schema.Int,
  windowEnd: Schema.Int,
  auctions: Schema.Int
})
const NewSeller = Schema.Struct({ id: Schema.Int, name: Schema.String, startTime: Schema.Int })

const query = Pipeline.make("nexmark-q8")

/** Who sold something in a period: one record each. Its time is the last of the period, so it stands in that window again. */
const sellers = query
  .from(auctions)
  .keyBy(auction => auction.seller)
  .window(Window.tumbling(PERIOD), { auctions: Agg.count() })
  .as(Active)
  .keyBy(active => active.key)

/** Monitor new users: persons who came and sold something within the same 10 seconds. */
export default query
  .from(persons)
  .keyBy(person => person.id)
  .windowJoin(sellers, Window.tumbling(PERIOD), { id: "new-sellers" }, ({ id, name }, { windowStart }) => ({
    id,
    name,
    startTime: windowStart
  }))
  .to(Sink.kafka("nexmark.q8", NewSeller))
