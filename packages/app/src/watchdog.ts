import { NO_RECORD } from "@headrace/engine"
import { Effect, Schema } from "effect"
import type { Away } from "./preflight.ts"
import { begun, type Stall, sampleOf, seen, stallOf } from "./stall.ts"
import { StandingPartitions } from "./standing.ts"
import type { Watchable } from "./unit.ts"

export interface WatchdogPolicy {
  /** How long a unit may stand still; after half of it that is said. */
  readonly afterMs: number
  readonly action: "restart" | "stop" | "warn"
}

/** What a watchdog needs to know, and whom it tells. */
export interface Watchdog extends WatchdogPolicy {
  /** The source topics of the plan. */
  readonly sources: readonly string[]
  /** The servers that do not answer at the moment: what waits for one of them is not stalled. */
  readonly away: Effect.Effect<Away>
  /** Told of what stands still and why, and (without a reason) when it moves again. */
  readonly onStall: (unit: string, reason: string | undefined) => void
  /** The same of a single partition, while others of its unit go on: nothing is restarted or stopped for it. */
  readonly onStanding: (unit: string, reason: string | undefined) => void
}

/** A unit stood still for as long as it may. */
export class Stalled extends Schema.TaggedError<Stalled>()("Stalled", {
  message: Schema.String
}) {}

const LONGEST_INTERVAL_MS = 1000

/**
 * Watches one run of a unit. Fails when the policy does not let it go on. `onHealthy` is told for how long, in ms, it has been
 * at its work and got on with it.
 */
export const watchdog = (
  unit: Watchable,
  options: Watchdog,
  onHealthy: (ms: number) => void = () => {}
): Effect.Effect<never, Stalled> =>
  Effect.gen(function* () {
    const intervalMs = Math.min(LONGEST_INTERVAL_MS, options.afterMs / 10)
    // What the run before left there.
    unit.metrics.at(NO_RECORD)
    let clock = 0
    let last = performance.now()
    let watched = begun(sampleOf(unit, clock))
    let saidAt: number | undefined
    options.onStall(unit.name, undefined)
    const partitions = new StandingPartitions(unit, options)
    while (true) {
      yield* Effect.sleep(intervalMs)
      // While this process stood still as a whole, so did its threads: that time does not count.
      clock += Math.min(performance.now() - last, 2 * intervalMs)
      last = performance.now()
      watched = seen(watched, sampleOf(unit, clock))
      onHealthy(watched.healthyMs)
      const stall = stallOf(watched, options.afterMs / 2, options.sources)
      const excuse = stall === undefined ? "all" : yield* excused(stall, options)
      yield* partitions.look(clock, stall !== undefined)
      if (stall === undefined || excuse !== "none") {
        if (stall !== undefined && excuse === "all") watched = begun(watched.now, watched.healthyMs)
        if (saidAt !== undefined) yield* movesAgain(unit, options)
        saidAt = undefined
        continue
      }
      const message = describe(stall, unit)
      const boundMs = options.afterMs * stall.patience
      options.onStall(unit.name, message)
      if (stall.forMs >= boundMs && options.action !== "warn") return yield* new Stalled({ message })
      if (saidAt !== undefined && clock - saidAt < boundMs) continue
      saidAt = clock
      yield* Effect.logWarning(message)
    }
  })

/** How long what one of several brokers may be needed for may wait for it, in terms of the bound: leaders move elsewhere. */
const LEADERS_MOVE = 5

/** A server that is away is a reason to wait for those that need it; a part of Kafka is for a while. The units say so themselves. */
const excused = (stall: Stall, { away, afterMs }: Watchdog): Effect.Effect<"all" | "some" | "none"> =>
  stall.waitsFor.length === 0
    ? Effect.succeed("none")
    : Effect.map(away, servers => {
        const much = stall.waitsFor.map(server => servers[server])
        if (much.includes("all")) return "all"
        return much.includes("some") && stall.forMs < LEADERS_MOVE * afterMs ? "some" : "none"
      })

const movesAgain = (unit: Watchable, { onStall }: Watchdog): Effect.Effect<void> => {
  onStall(unit.name, undefined)
  return Effect.logInfo("gets on again")
}

/** With what the unit itself said since then. */
const describe = ({ forMs, reason }: Stall, { metrics }: Watchable): string => {
  const { said } = metrics.warning
  const why = said !== undefined && Date.now() - said.at <= forMs ? `; its last warning: ${said.text}` : ""
  return `stalled for ${Math.round(forMs / 1000)} s: ${reason}${why}`
}
