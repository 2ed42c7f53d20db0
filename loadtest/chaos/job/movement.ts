import { Schema } from "effect"
import { AccountEvent } from "../../src/scenarios/payments/schemas.ts"

const { id, kind, account, at, cents, country, channel, ok } = AccountEvent.fields

/**
 * What is sent: of an event of the payments scenario what its patterns ask about. `id` counts from 0 without gaps, in the order in
 * which events were handed to Kafka; `at` is by a clock that nobody steps.
 */
export const Movement = Schema.Struct({ id, kind, account, at, cents, country, channel, ok }).annotate({
  identifier: "Movement"
})
export type Movement = typeof Movement.Type

/** What comes out for each: the account's state behind it, which tells what state has lost or doubled. */
export const Balance = Schema.Struct({
  id: Schema.Int,
  account: Schema.String,
  movements: Schema.Int,
  cents: Schema.Int
}).annotate({ identifier: "Balance" })

/** How far behind the newest movement of its partition one may come and still be on time. */
export const BOUND_MS = 5_000

export const APP = "chaos"
export const TOPICS = { movements: "movements", balances: "balances", alerts: "alerts" } as const
export const TABLES = { balances: "balances", alerts: "alerts" } as const
