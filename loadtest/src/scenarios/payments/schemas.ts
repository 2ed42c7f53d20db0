import { Schema } from "effect"

export const KINDS = ["payment", "login", "transfer", "terminal", "heartbeat"] as const
export const CURRENCIES = ["EUR", "USD", "GBP", "JPY", "CHF"] as const
export const CHANNELS = ["card", "app", "web", "atm"] as const

const event = {
  /** Unique: run, generator thread and sequence number in one integer, see `ids.ts`. */
  id: Schema.Int,
  kind: Schema.Literals(KINDS),
  account: Schema.String,
  /** Event time, ms since the epoch. */
  at: Schema.Int,
  /** When the event was meant to be sent, ms since the epoch with a fraction. Latency counts from here. */
  sentAt: Schema.Finite,
  cents: Schema.Int,
  currency: Schema.Literals(CURRENCIES),
  merchant: Schema.String,
  country: Schema.String,
  channel: Schema.Literals(CHANNELS),
  device: Schema.String,
  ok: Schema.Boolean
}

/**
 * What happens to an account: a payment, a login … About 80 bytes in Avro. `terminal`: one of the merchant whose account it is
 * says that it is up, or (not `ok`) that it is going to be switched off.
 */
export const AccountEvent = Schema.Struct(event).annotate({ identifier: "AccountEvent" })
export type AccountEvent = typeof AccountEvent.Type

/** An event with the risk that the pipeline gave it, 0 (none) to 100. */
export const ScoredEvent = Schema.Struct({ ...event, risk: Schema.Int }).annotate({ identifier: "ScoredEvent" })
export type ScoredEvent = typeof ScoredEvent.Type

/** What an account spent in one window. */
export const Spend = Schema.Struct({
  key: Schema.String,
  windowStart: Schema.Int,
  windowEnd: Schema.Int,
  spent: Schema.Int,
  payments: Schema.Int,
  largest: Schema.Int
}).annotate({ identifier: "Spend" })
export type Spend = typeof Spend.Type

export const RULES = ["trial", "guess", "travel", "silence"] as const

/** A pattern that was found, and the first and last event of it. */
export const Alert = Schema.Struct({
  rule: Schema.Literals(RULES),
  /** The account. */
  key: Schema.String,
  firstId: Schema.Int,
  lastId: Schema.Int,
  /** Event time of the last event. */
  at: Schema.Int
}).annotate({ identifier: "Alert" })
export type Alert = typeof Alert.Type
