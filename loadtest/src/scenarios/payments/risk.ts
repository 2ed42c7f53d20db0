import type { AccountEvent } from "./schemas.ts"

const HOUR_MS = 3_600_000

/** Risk of an event, 0 to 100. Pure, and reads numbers and enums only: no string is made for it. */
export const riskOf = (event: Pick<AccountEvent, "kind" | "channel" | "cents" | "at" | "ok">): number =>
  Math.min(
    100,
    amountRisk(event.cents) + nightRisk(event.at) + (event.ok ? 0 : 30) + (event.channel === "atm" ? 10 : 0)
  )

const amountRisk = (cents: number): number => Math.min(40, Math.floor(cents / 5_000))

const nightRisk = (at: number): number => (Math.floor(at / HOUR_MS) % 24 < 5 ? 20 : 0)
