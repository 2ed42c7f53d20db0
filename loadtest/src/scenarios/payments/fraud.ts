import { Pattern } from "headrace"
import type { Deed } from "./due.ts"
import { GUESS_MS, LARGE_CENTS, SILENCE_MS, SMALL_CENTS, TRAVEL_MS, TRIAL_MS } from "./limits.ts"
import type { Alert } from "./schemas.ts"

// Conditions of patterns are asked about an event alone, and read numbers and enums only.
const isSmall = (e: Deed) => e.kind === "payment" && e.cents < SMALL_CENTS
const isLarge = (e: Deed) => e.kind === "payment" && e.cents > LARGE_CENTS
const isFailed = (e: Deed) => e.kind === "login" && e.channel === "web" && !e.ok
const isLoggedIn = (e: Deed) => e.kind === "login" && e.channel === "web" && e.ok
const isOnline = (e: Deed) => e.kind === "payment" && e.channel === "web"
const isByCard = (e: Deed) => e.kind === "payment" && (e.channel === "card" || e.channel === "atm")
const isOfTerminal = (e: Deed) => e.kind === "terminal"
const isUp = (e: Deed) => e.kind === "terminal" && e.ok

/** Whether a pattern looks for such an event: one that none does look for neither begins, ends nor breaks a match. */
export const isWatched = (e: Deed): boolean => {
  switch (e.kind) {
    case "payment":
      return e.channel !== "app" || e.cents < SMALL_CENTS || e.cents > LARGE_CENTS
    case "login":
      return e.channel === "web"
    default:
      return e.kind === "terminal"
  }
}

/**
 * A card is tried out with a small payment, and then used for a large one. Of several small ones the last is the one that counts:
 * if any comes in time, it does, and only that one has to be remembered.
 */
const trial = Pattern.begin("small", isSmall)
  .notFollowedBy("again", isSmall)
  .followedBy("large", isLarge)
  .within(TRIAL_MS)

/** A password is guessed on the web, and then used: no login succeeds between those that fail. */
const guess = Pattern.begin("first", isFailed)
  .notFollowedBy("right once", isLoggedIn)
  .followedBy("second", isFailed)
  .notFollowedBy("right twice", isLoggedIn)
  .followedBy("third", isFailed)
  .followedBy("payment", isOnline)
  .within(GUESS_MS)
  .skipPastLast()

/**
 * A card pays in one country, and next in another one. Between two payments too far from each other there are always two
 * neighbours that are as well, so that only the last one of a card has to be remembered.
 */
const travel = Pattern.begin("here", isByCard)
  .notFollowedBy("again", (e, taken) => isByCard(e) && e.country === taken.of("here")[0]?.country)
  .followedBy("there", (e, taken) => isByCard(e) && e.country !== taken.of("here")[0]?.country)
  .within(TRAVEL_MS)

/** A terminal of a merchant that said nothing any more, not even that it is going to be switched off. */
const silence = Pattern.begin("last", isUp).notFollowedBy("next", isOfTerminal).within(SILENCE_MS)

const alert = (rule: Alert["rule"], key: string, first: Deed, last: Deed): Alert => ({
  rule,
  key,
  firstId: first.id,
  lastId: last.id,
  at: last.at
})

/** What is looked for, all of it by account. */
export const patterns = [
  Pattern.select("trial", trial, {
    select: ({ small, large }, key: string) => alert("trial", key, small[0]!, large[0]!)
  }),
  Pattern.select("guess", guess, {
    select: ({ first, payment }, key: string) => alert("guess", key, first[0]!, payment[0]!)
  }),
  Pattern.select("travel", travel, {
    select: ({ here, there }, key: string) => alert("travel", key, here[0]!, there[0]!)
  }),
  Pattern.select("silence", silence, {
    select: ({ last }, key: string) => alert("silence", key, last[0]!, last[0]!)
  })
]
