import type { Burst } from "@headrace/loadtest"
import { Option } from "effect"
import { Flag } from "effect/cli"
import { parseDuration } from "./value.ts"

const duration = Flag.filterMap(
  (text: string) => Option.fromUndefinedOr(parseDuration(text)),
  text => `expected a duration with its unit, like 60s or "2 minutes", got "${text}"`
)
const positive = Flag.filter(
  (n: number) => n > 0,
  n => `expected a number above 0, got ${n}`
)

/** "3x/2s/10s": three times the base rate for 2 s of every 10 s. */
const parseBurst = (text: string): Burst | undefined => {
  const [, factor, lasts = "", every = ""] = /^(\d+(?:\.\d+)?)x\/([^/]+)\/([^/]+)$/.exec(text) ?? []
  const [lastsMs, everyMs] = [parseDuration(lasts), parseDuration(every)]
  if (!factor || !lastsMs || !everyMs || lastsMs >= everyMs || Number(factor) <= 0) return undefined
  return { factor: Number(factor), lastsMs, everyMs }
}

/** What both `demo` and `loadtest` take. */
export const loadFlags = {
  rate: Flag.Finite("rate").pipe(
    positive,
    Flag.withMetavar("events/s"),
    Flag.withDescription("Mean rate of the load"),
    Flag.withDefault(60_000)
  ),
  for: Flag.String("for").pipe(
    duration,
    Flag.withMetavar("duration"),
    Flag.withDescription("How long events are sent, like 60s"),
    Flag.withDefault(60_000)
  ),
  warmUp: Flag.String("warm-up").pipe(
    duration,
    Flag.withMetavar("duration"),
    Flag.withDescription("A load before what is measured, audited as well, at most as long as that (default: 15s)"),
    Flag.withDefault(15_000)
  ),
  threads: Flag.Int("threads").pipe(
    Flag.withDescription("Threads that generate the load (default: 1)"),
    Flag.withDefault(1)
  ),
  burst: Flag.String("burst").pipe(
    Flag.filterMap(
      text => Option.fromUndefinedOr(parseBurst(text)),
      text => `expected how much, how long and how often, like 3x/2s/10s, got "${text}"`
    ),
    Flag.withMetavar("factor/lasts/every"),
    Flag.withDescription("3x/2s/10s: three times the rate for 2 s of every 10 s; --rate stays the mean"),
    Flag.optional
  ),
  seed: Flag.Int("seed").pipe(Flag.withDescription("The same seed sends the same events"), Flag.withDefault(1)),
  report: Flag.String("report").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Writes the summary as JSON"),
    Flag.optional
  )
}

export interface LoadFlags {
  readonly rate: number
  readonly for: number
  readonly warmUp: number
  readonly threads: number
  readonly burst: Option.Option<Burst>
  readonly seed: number
  readonly report: Option.Option<string>
}

/** A short load needs no longer warm-up than itself. */
export const warmUpMs = (flags: LoadFlags): number => Math.min(flags.warmUp, flags.for)
