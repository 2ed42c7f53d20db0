import { GUESS_MS, LARGE_CENTS, SILENCE_MS, SMALL_CENTS, TRAVEL_MS, TRIAL_MS } from "./limits.ts"
import type { AccountEvent } from "./schemas.ts"

/** One event of a script: what of it matters, and how long after the beginning it happens. */
export interface Cue extends Partial<Pick<AccountEvent, "kind" | "cents" | "country" | "channel" | "ok">> {
  readonly after: number
  /** It happens to another account. */
  readonly elsewhere?: true
}

/** A sequence of events that is planted, by what it is; and how many alerts it is to raise, if all of it is sent. */
export interface Script {
  readonly what: string
  readonly alerts: number
  readonly cues: readonly Cue[]
}

const small = (after: number): Cue => ({ after, cents: SMALL_CENTS - 1 })
const large = (after: number): Cue => ({ after, cents: LARGE_CENTS + 1 })
const usual = (after: number): Cue => ({ after, cents: 20_00 })
const failed = (after: number): Cue => ({ after, kind: "login", channel: "web", ok: false })
const right = (after: number): Cue => ({ after, kind: "login", channel: "web" })
const online = (after: number): Cue => ({ after, channel: "web" })
const card = (after: number, country: string): Cue => ({ after, channel: "card", country })
const cash = (after: number, country: string): Cue => ({ after, channel: "atm", country })
const up = (after: number): Cue => ({ after, kind: "terminal" })
const off = (after: number): Cue => ({ after, kind: "terminal", ok: false })

/** All that is planted, in turns, first what fits into a run of a few seconds: what a pattern has to find, and what it nearly, but not quite, looks for. */
export const SCRIPTS: readonly Script[] = [
  { what: "small, then large", alerts: 1, cues: [small(0), large(1_200)] },
  {
    what: "three wrong logins, then a payment",
    alerts: 1,
    cues: [failed(0), failed(300), failed(700), online(1_200)]
  },
  { what: "one country, then another", alerts: 1, cues: [card(0, "DE"), cash(1_300, "PT")] },
  { what: "a terminal that falls silent", alerts: 1, cues: [up(0), up(700), up(1_400)] },
  { what: "large, then small", alerts: 0, cues: [large(0), small(1_500)] },
  { what: "two wrong logins only", alerts: 0, cues: [failed(0), failed(900), online(2_500)] },
  { what: "one country twice", alerts: 0, cues: [card(0, "DE"), card(2_000, "DE")] },
  { what: "a terminal that is switched off", alerts: 0, cues: [up(0), up(2_000), off(4_000)] },
  {
    what: "several small ones, and two large",
    alerts: 1,
    cues: [small(0), usual(700), small(1_400), large(2_500), large(4_000)]
  },
  {
    what: "wrong three times, then right",
    alerts: 1,
    cues: [failed(0), failed(500), failed(900), right(2_000), online(2_800)]
  },
  {
    what: "from country to country",
    alerts: 2,
    cues: [card(0, "AT"), card(1_000, "CH"), online(1_700), card(2_500, "IT")]
  },
  { what: "a terminal that comes back too late", alerts: 1, cues: [up(0), up(SILENCE_MS), off(SILENCE_MS + 1_000)] },
  { what: "small enough by one, not large enough", alerts: 0, cues: [small(0), { after: 2_000, cents: LARGE_CENTS }] },
  { what: "not small enough", alerts: 0, cues: [{ after: 0, cents: SMALL_CENTS }, large(2_000)] },
  { what: "small here, large there", alerts: 0, cues: [small(0), { ...large(2_000), elsewhere: true }] },
  { what: "right in between", alerts: 0, cues: [failed(0), failed(600), right(1_200), failed(1_900), online(2_600)] },
  {
    what: "right before the last two",
    alerts: 0,
    cues: [failed(0), right(600), failed(1_200), failed(1_900), online(2_600)]
  },
  { what: "paid before the wrong logins", alerts: 0, cues: [online(0), failed(600), failed(1_200), failed(1_900)] },
  { what: "paid in the app", alerts: 0, cues: [failed(0), failed(600), failed(1_200), usual(2_000)] },
  {
    what: "wrong here, paid there",
    alerts: 0,
    cues: [failed(0), failed(600), failed(900), { ...online(1_500), elsewhere: true }]
  },
  { what: "abroad, but not with the card", alerts: 0, cues: [card(0, "DE"), { ...online(2_000), country: "PT" }] },
  { what: "two cards", alerts: 0, cues: [card(0, "DE"), { ...card(2_000, "PT"), elsewhere: true }] },
  { what: "paid at the last moment", alerts: 1, cues: [failed(0), failed(500), failed(900), online(GUESS_MS - 1)] },
  { what: "paid too late", alerts: 0, cues: [failed(0), failed(500), failed(900), online(GUESS_MS)] },
  { what: "a terminal that comes back in time", alerts: 0, cues: [up(0), up(SILENCE_MS - 1), off(SILENCE_MS + 3_000)] },
  { what: "large at the last moment", alerts: 1, cues: [small(0), large(TRIAL_MS - 1)] },
  { what: "large too late", alerts: 0, cues: [small(0), large(TRIAL_MS)] },
  { what: "abroad at the last moment", alerts: 1, cues: [card(0, "DE"), card(TRAVEL_MS - 1, "PT")] },
  { what: "abroad, with time to get there", alerts: 0, cues: [card(0, "DE"), card(TRAVEL_MS, "PT")] }
]

/** From the first event of a script to its last one, ms. */
export const lengthOf = ({ cues }: Script): number => Math.max(...cues.map(({ after }) => after))
