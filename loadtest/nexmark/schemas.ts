import { Schema } from "effect"

/** Somebody who may sell and bid. Times are ms since the epoch, amounts cents. */
export const Person = Schema.Struct({
  id: Schema.Int,
  name: Schema.String,
  emailAddress: Schema.String,
  creditCard: Schema.String,
  city: Schema.String,
  state: Schema.String,
  dateTime: Schema.Int,
  extra: Schema.String
}).annotate({ identifier: "Person" })
export type Person = typeof Person.Type

/** What a person sells, until it expires. */
export const Auction = Schema.Struct({
  id: Schema.Int,
  itemName: Schema.String,
  description: Schema.String,
  initialBid: Schema.Int,
  reserve: Schema.Int,
  dateTime: Schema.Int,
  expires: Schema.Int,
  seller: Schema.Int,
  category: Schema.Int,
  extra: Schema.String
}).annotate({ identifier: "Auction" })
export type Auction = typeof Auction.Type

/** What a person would pay in an auction. */
export const Bid = Schema.Struct({
  auction: Schema.Int,
  bidder: Schema.Int,
  price: Schema.Int,
  channel: Schema.String,
  url: Schema.String,
  dateTime: Schema.Int,
  extra: Schema.String
}).annotate({ identifier: "Bid" })
export type Bid = typeof Bid.Type

/** A row of the small table that q13 looks bids up in. */
export const SideInput = Schema.Struct({ key: Schema.Int, value: Schema.String }).annotate({ identifier: "SideInput" })
export type SideInput = typeof SideInput.Type
