import { Schema } from "effect"

/** What is sent: `id` counts from 0 without gaps, in the order in which events were handed to Kafka. */
export const Movement = Schema.Struct({
  id: Schema.Int,
  account: Schema.String,
  /** ms since the epoch, by a clock that nobody steps. */
  sentAt: Schema.Finite,
  cents: Schema.Int
}).annotate({ identifier: "Movement" })
export type Movement = typeof Movement.Type

/** What comes out for each: the account's state behind it, which tells what state has lost or doubled. */
export const Balance = Schema.Struct({
  id: Schema.Int,
  account: Schema.String,
  movements: Schema.Int,
  cents: Schema.Int
}).annotate({ identifier: "Balance" })

export const APP = "chaos"
export const TOPICS = { movements: "movements", balances: "balances" } as const
export const TABLE = "balances"
