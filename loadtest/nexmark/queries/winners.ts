import { Schema } from "effect"
import type { Pipeline } from "headrace"
import { State } from "headrace"
import { Auction, Bid } from "../schemas.ts"
import { auctions, bids } from "../sources.ts"

/** Either of the two, with the auction's id. */
const Entry = Schema.Struct({ id: Schema.Int, auction: Schema.NullOr(Auction), bid: Schema.NullOr(Bid) })
type Entry = typeof Entry.Type

/** An auction that has closed, and the bid that won it. */
export const Won = Schema.Struct({ auction: Auction, bid: Bid })
export type Won = typeof Won.Type

/**
 * Auctions as they close, if there was a bid for them: what q4, q6 and q9 begin with. The highest bid wins, of two that are
 * as high the earlier one. An auction closes when the watermark reaches its end, so it is certain who won, and nothing is
 * ever taken back.
 */
export const winners = (query: Pipeline.Named) => {
  const offered = query
    .from(auctions)
    .map((auction): Entry => ({ id: auction.id, auction, bid: null }))
    .as(Entry)
  const placed = query
    .from(bids)
    .map((bid): Entry => ({ id: bid.auction, auction: null, bid }))
    .as(Entry)
  return offered
    .union(placed)
    .keyBy(entry => entry.id)
    .process("winners", {
      emits: Won,
      state: {
        auction: State.value(Auction),
        best: State.value(Bid),
        // A bid may overtake its auction; one whose auction has not come in time has none, or a closed one.
        early: State.list(Bid, { ttl: "4 seconds" })
      },
      onRecord: ({ auction, bid }, { state, timers }) => {
        const open = auction ?? state.auction.get()
        if (open === undefined) return state.early.append(bid!)
        if (auction !== null) {
          state.auction.set(auction)
          timers.register(auction.expires)
        }
        const standing = state.best.get()
        const candidates = bid === null ? state.early.get() : [bid]
        const best = candidates.filter(isFor(open)).reduce(better, standing)
        if (best !== standing) state.best.set(best!)
        if (bid === null) state.early.clear()
      },
      onTimer: (_, { state, emit }) => {
        const bid = state.best.get()
        if (bid !== undefined) emit({ auction: state.auction.get()!, bid })
        state.auction.clear()
        state.best.clear()
      }
    })
}

const isFor =
  ({ dateTime, expires }: Auction) =>
  (bid: Bid): boolean =>
    bid.dateTime >= dateTime && bid.dateTime <= expires

const better = (best: Bid | undefined, bid: Bid): Bid => {
  if (best === undefined || bid.price > best.price) return bid
  return bid.price === best.price && bid.dateTime < best.dateTime ? bid : best
}
