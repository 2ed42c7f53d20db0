import { GUESS_MS, LARGE_CENTS, SILENCE_MS, SMALL_CENTS, TRAVEL_MS, TRIAL_MS } from "./limits.ts"
import type { AccountEvent, Alert } from "./schemas.ts"

/** What alerts are told apart by. */
export type AlertName = string
export const alertName = ({ rule, firstId, lastId }: Pick<Alert, "rule" | "firstId" | "lastId">): AlertName =>
  `${rule} ${firstId} ${lastId}`

/** What of an event alerts depend on. */
export type Deed = Pick<AccountEvent, "id" | "at" | "kind" | "cents" | "country" | "channel" | "ok">

/**
 * The alerts that are due for all events of one account: worked out from their definitions, with all events at hand, and
 * sharing nothing with the patterns but the limits.
 */
export const alertsDue = (deeds: readonly Deed[]): readonly AlertName[] => {
  const inOrder = deeds.toSorted((a, b) => a.at - b.at || a.id - b.id)
  return [...trials(inOrder), ...guesses(inOrder), ...travels(inOrder), ...silences(inOrder)]
}

const named = (rule: Alert["rule"], first: Deed, last: Deed): AlertName =>
  alertName({ rule, firstId: first.id, lastId: last.id })

/** Each large payment with the last small one before it, if that was less than a minute ago and no other large one came between. */
const trials = (deeds: readonly Deed[]): AlertName[] =>
  pairs(deeds.filter(({ kind, cents }) => kind === "payment" && (cents < SMALL_CENTS || cents > LARGE_CENTS))).flatMap(
    ([small, large]) =>
      large !== undefined && small.cents < SMALL_CENTS && large.cents > LARGE_CENTS && large.at - small.at < TRIAL_MS
        ? [named("trial", small, large)]
        : []
  )

/** Each payment on the web with the earliest three failed logins in a row that it is the next payment after. */
const guesses = (deeds: readonly Deed[]): AlertName[] => {
  const online = deeds.filter(({ kind, channel }) => channel === "web" && (kind === "login" || kind === "payment"))
  const logins = online.filter(({ kind }) => kind === "login")
  const inARow = logins
    .map((_, i) => logins.slice(i, i + 3))
    .filter(three => three.filter(({ ok }) => !ok).length === 3)
  const found: AlertName[] = []
  const places = new Map(online.map((deed, place) => [deed, place]))
  const placeOf = (deed: Deed | undefined): number => (deed === undefined ? -1 : places.get(deed)!)
  let before: Deed | undefined
  let used: Deed | undefined
  for (const payment of online.filter(({ kind }) => kind === "payment")) {
    const three = inARow.find(
      ([first, , third]) =>
        placeOf(first) > placeOf(used) &&
        placeOf(third) > placeOf(before) &&
        placeOf(third) < placeOf(payment) &&
        payment.at - first!.at < GUESS_MS
    )
    if (three !== undefined) {
      found.push(named("guess", three[0]!, payment))
      used = payment
    }
    before = payment
  }
  return found
}

/** Each payment by card with the one before it, if that was in another country less than ten minutes ago. */
const travels = (deeds: readonly Deed[]): AlertName[] =>
  pairs(deeds.filter(({ kind, channel }) => kind === "payment" && (channel === "card" || channel === "atm"))).flatMap(
    ([here, there]) =>
      there !== undefined && here.country !== there.country && there.at - here.at < TRAVEL_MS
        ? [named("travel", here, there)]
        : []
  )

/** Each sign of a terminal that another one does not follow in time. */
const silences = (deeds: readonly Deed[]): AlertName[] =>
  pairs(deeds.filter(({ kind }) => kind === "terminal")).flatMap(([last, next]) =>
    last.ok && (next === undefined || next.at - last.at >= SILENCE_MS) ? [named("silence", last, last)] : []
  )

const pairs = <A>(all: readonly A[]): (readonly [A, A | undefined])[] => all.map((one, i) => [one, all[i + 1]])
