import { Source } from "headrace"
import { Auction, Bid, Person, SideInput } from "./schemas.ts"

/** How late an event may be: what the field's other implementations allow. */
export const inTime = {
  eventTime: (event: { readonly dateTime: number }) => event.dateTime,
  outOfOrderness: "4 seconds"
} as const

// A source's schema is what is read of its records. Queries that need little, and send it on to another stage, have narrower
// sources of their own: the record has the same name there.
export const persons = Source.kafka("nexmark.persons", Person, { ...inTime, key: "id" })
export const auctions = Source.kafka("nexmark.auctions", Auction, { ...inTime, key: "id" })
export const bids = Source.kafka("nexmark.bids", Bid, { ...inTime, key: "auction" })
/** A compacted topic, complete before the first bid. */
export const sideInput = Source.kafka("nexmark.side", SideInput, { key: "key" })
