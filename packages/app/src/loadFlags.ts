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
  readonly seed: number
  readonly report: Option.Option<string>
}
