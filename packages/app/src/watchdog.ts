import { NO_RECORD } from "@headrace/engine"
import { Effect, Schema } from "effect"
import { begun, type Stall, sampleOf, seen, stallOf } from "./stall.ts"
import type { Unit } from "./supervisor.ts"

export interface WatchdogPolicy {
  /** How long a unit may stand still; after half of it that is said. */
  readonly afterMs: number
  readonly action: "restart" | "stop" | "warn"
}

/** What a watchdog needs to know, and whom it tells. */
export interface Watchdog extends WatchdogPolicy {
  /** The source topics of the plan. */
  readonly sources: readonly string[]
  /** The servers that do not answer at the moment: what waits for them is not stalled. */
  readonly away: Effect.Effect<readonly string[]>
  /** Told of what stands still and why, and (without a reason) when it moves again. */
  readonly onStall: (unit: string, reason: string | undefined) => void
}

/** A unit stood still for as long as it may. */
export class Stalled extends Schema.TaggedError<Stalled>()("Stalled", {
  message: Schema.String,
  forMs: Schema.Finite
}) {}

const LONGEST_INTERVAL_MS = 1000

/** Watches one run of a unit. Fails when the policy does not let it go on. */
export const watchdog = (unit: Unit, options: Watchdog): Effect.Effect<never, Stalled> =>
  Effect.gen(function* () {
    const intervalMs = Math.min(LONGEST_INTERVAL_MS, options.afterMs / 10)
    // What the run before left there.
    unit.metrics.at(NO_RECORD)
    let clock = 0
    let last = performance.now()
    let watched = begun(sampleOf(unit.metrics, clock))
    let saidAt: number | undefined
    options.onStall(unit.name, undefined)
    while (true) {
      yield* Effect.sleep(intervalMs)
      // While this process stood still as a whole, so did its threads: that time does not count.
      clock += Math.min(performance.now() - last, 2 * intervalMs)
      last = performance.now()
      watched = seen(watched, sampleOf(unit.metrics, clock))
      const stall = stallOf(watched, options.afterMs / 2, options.sources)
      if (stall === undefined || (yield* excused(stall, options))) {
        if (stall !== undefined) watched = begun(watched.now)
        if (saidAt !== undefined) yield* movesAgain(unit, options)
        saidAt = undefined
        continue
      }
      options.onStall(unit.name, describe(stall))
      if (stall.forMs >= options.afterMs && options.action !== "warn")
        return yield* new Stalled({ message: describe(stall), forMs: stall.forMs })
      if (saidAt !== undefined && clock - saidAt < options.afterMs) continue
      saidAt = clock
      yield* Effect.logWarning(describe(stall))
    }
  })

/** A server that is away is a reason to wait; the units say so themselves. */
const excused = (stall: Stall, { away }: Watchdog): Effect.Effect<boolean> =>
  stall.hung ? Effect.succeed(false) : Effect.map(away, servers => servers.length > 0)

const movesAgain = (unit: Unit, { onStall }: Watchdog): Effect.Effect<void> => {
  onStall(unit.name, undefined)
  return Effect.logInfo("gets on again")
}

const describe = ({ forMs, reason }: Stall): string => `stalled for ${Math.round(forMs / 1000)} s: ${reason}`
