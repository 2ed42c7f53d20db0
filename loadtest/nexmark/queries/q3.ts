import { Schema } from "effect"
import { Pipeline, Sink, State } from "headrace"
import { Person } from "../schemas.ts"
import { auctions, persons } from "../sources.ts"

const STATES = ["OR", "ID", "CA"]
const CATEGORY = 10

const { name, city, state } = Person.fields
const Seller = Schema.Struct({ name, city, state })
/** Either of the two: somebody who may sell, or an auction by its id. */
const Entry = Schema.Struct({ seller: Schema.Int, person: Schema.NullOr(Seller), auction: Schema.NullOr(Schema.Int) })
type Entry = typeof Entry.Type
const Suggestion = Schema.Struct({ ...Seller.fields, id: Schema.Int })

const query = Pipeline.make("nexmark-q3")
const sellers = query
  .from(persons)
  .filter(person => STATES.includes(person.state))
  .map(({ id, name, city, state }): Entry => ({ seller: id, person: { name, city, state }, auction: null }))
  .as(Entry)
const offers = query
  .from(auctions)
  .filter(auction => auction.category === CATEGORY)
  .map(({ id, seller }): Entry => ({ seller, person: null, auction: id }))
  .as(Entry)

/**
 * Local item suggestion: who sells in three states in category 10, and in which auctions. A join without bounds of time,
 * so a process step: a person is remembered for good, and so is an auction whose seller has not come yet.
 */
export default sellers
  .union(offers)
  .keyBy(entry => entry.seller)
  .process("suggestions", {
    emits: Suggestion,
    state: { seller: State.value(Seller), waiting: State.list(Schema.Int) },
    onRecord: ({ person, auction }, { state, emit }) => {
      if (person !== null) {
        state.seller.set(person)
        for (const id of state.waiting.get()) emit({ ...person, id })
        state.waiting.clear()
        return
      }
      const seller = state.seller.get()
      if (seller === undefined) state.waiting.append(auction!)
      else emit({ ...seller, id: auction! })
    }
  })
  .to(Sink.kafka("nexmark.q3", Suggestion))
