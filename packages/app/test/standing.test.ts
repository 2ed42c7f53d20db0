/** A partition that stands still while others of its lane go on is said, and nothing is done about it. */
import { expect, test } from "bun:test"
import { LaneMetrics, PHASES, STANDING, type StandingWhy } from "@headrace/engine"
import { Effect, Fiber } from "effect"
import { StandingPartitions } from "../src/standing.ts"
import { Status } from "../src/status.ts"
import { watchdog } from "../src/watchdog.ts"

const AFTER_MS = 60_000

const lane = () => ({ kind: "lane" as const, index: 0, name: "lane 0", metrics: new LaneMetrics() })

const stands = (metrics: LaneMetrics, forMs: number, why: StandingWhy) => {
  metrics.set("standingMs", forMs)
  metrics.set("standingWhy", STANDING.indexOf(why))
  metrics.set("standingSource", 1)
  metrics.set("standingPartition", 3)
}

const watched = () => {
  const unit = lane()
  const status = new Status("app", [unit])
  unit.metrics.set("phase", PHASES.indexOf("running"))
  const partitions = new StandingPartitions(unit, {
    afterMs: AFTER_MS,
    sources: ["orders", "customers"],
    onStanding: (name, reason) => status.stand(name, reason)
  })
  const look = (clock: number, excused = false) => {
    Effect.runSync(partitions.look(clock, excused))
    return status.warnings().join()
  }
  return { metrics: unit.metrics, status, look }
}

test.each<[StandingWhy, RegExp]>([
  ["restore", /^lane 0: customers\/3 has stood still for 60 s: its state does not come back/],
  ["unread", /^lane 0: customers\/3 has stood still for 60 s: it has records, but none of them are read/],
  [
    "undecided",
    /a transaction .* is open there.*find-hanging --topic customers --partition 3.*a restart does not help$/
  ]
])("%s: it is a warning once it has for as long as it may, until it moves", (why, reason) => {
  const { metrics, status, look } = watched()
  stands(metrics, AFTER_MS - 1, why)
  expect(look(AFTER_MS * 2)).toBe("")
  stands(metrics, AFTER_MS, why)
  expect(look(AFTER_MS * 2)).toMatch(reason)
  // The others go on.
  expect(status.reasons()).toEqual([])
  stands(metrics, 0, why)
  expect(look(AFTER_MS * 2)).toBe("")
})

test("the time in which all of the unit stood still does not count", () => {
  const { metrics, look } = watched()
  stands(metrics, AFTER_MS * 3, "unread")
  expect(look(AFTER_MS, true)).toBe("")
  expect(look(AFTER_MS * 2 - 1)).toBe("")
  expect(look(AFTER_MS * 2)).toContain("customers/3")
})

test("the watchdog says it, and lets the unit go on", async () => {
  const unit = lane()
  let said = false
  const options = {
    afterMs: 500,
    action: "restart" as const,
    sources: ["orders", "customers"],
    away: Effect.succeed({}),
    onStall: (_: string, reason: string | undefined) => expect(reason).toBeUndefined(),
    onStanding: (_: string, reason: string | undefined) => {
      said ||= reason?.includes("customers/3") === true
    }
  }
  const commits = Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(watchdog(unit, options))
    while (!said) {
      unit.metrics.add("beats", 1)
      unit.metrics.add("commits", 1)
      stands(unit.metrics, 1_000, "undecided")
      yield* Effect.sleep(5)
    }
    yield* Fiber.interrupt(fiber)
  })
  await Effect.runPromise(commits)
})
