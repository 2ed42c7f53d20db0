import { describe, expect, test } from "bun:test"
import { fileURLToPath } from "node:url"
import { type JobConfig, LaneMetrics, Whereabouts } from "@headrace/engine"
import { Effect, Exit, Fiber } from "effect"
import { Checkpoints } from "../src/checkpoints.ts"
import { Orders } from "../src/orders.ts"
import type { Away } from "../src/preflight.ts"
import { type Supervised, supervise } from "../src/supervisor.ts"
import type { Unit } from "../src/unit.ts"

const file = fileURLToPath(new URL("./threads/unit.ts", import.meta.url))

const job = (app: string): JobConfig => ({
  app,
  instance: "i",
  module: "/none",
  lanes: 2,
  kafka: { bootstrap: "b:1", settings: {} },
  registry: { url: "http://r" },
  commitIntervalMs: 25,
  checkpoint: { store: { directory: "/none" }, intervalMs: 60_000, retained: 1 },
  state: { laneBytes: 0, directory: "", full: "wait" },
  sessionTimeoutMs: 1000,
  lostOffsets: "stop",
  standby: 0,
  replication: 1
})

const crew = (app: string, lanes = 2) => {
  const units = Array.from({ length: lanes }, (_, index): Unit => {
    return { kind: "lane", index, name: `lane ${index}`, metrics: new LaneMetrics() }
  })
  const events: string[] = []
  const options: Supervised = {
    job: job(app),
    digest: "d",
    units,
    // Units that end by themselves may be slow beside other work.
    stopWithinMs: 60_000,
    restarts: { firstDelayMs: 1, maxDelayMs: 4, healthyMs: 60_000, maxFailures: 5, maxStalls: 2 },
    watchdog: {
      afterMs: 60_000,
      action: "restart",
      sources: ["orders"],
      away: Effect.succeed({}),
      onStall: () => {},
      onStanding: () => {}
    },
    orders: new Orders(),
    onEvent: (event, unit) => void events.push(`${event} ${unit}`),
    file
  }
  return { units, events, options }
}

/** Far longer than a thread takes to start beside other work: until then it shows no life either. */
const HANGS_AFTER_MS = 6_000

const starts = (unit: Unit | undefined) => unit?.metrics.get("restores") ?? 0
const until = (holds: () => boolean) =>
  Effect.gen(function* () {
    while (!holds()) yield* Effect.sleep(5)
  })

/** Runs until `holds`, then stops cleanly. */
const runUntil = (options: Supervised, holds: () => boolean) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(supervise(options))
      yield* until(holds)
      yield* Fiber.interrupt(fiber)
    })
  )

describe("a unit that dies", () => {
  for (const how of ["throws", "exits"]) {
    test(`is started again when it ${how}, and the others go on`, async () => {
      const { units, events, options } = crew(how)
      await runUntil(options, () => starts(units[0]) === 3 && starts(units[1]) === 1)
      expect(events).toEqual(["restart lane 0", "restart lane 0"])
      expect(starts(units[1])).toBe(1)
      expect(units.map(unit => unit.metrics.get("commits"))).toEqual([1, 1])
    })
  }

  test("looks itself at what topics there are when it is started again", async () => {
    const { units, options } = crew("throws")
    await runUntil({ ...options, topics: new Map([["orders", 6]]) }, () => starts(units[0]) === 3)
    expect(units.map(unit => unit.metrics.get("followed"))).toEqual([0, 6])
  })

  test("again and again ends the job, naming the unit and its last error", async () => {
    const { units, options } = crew("always")
    // The other one has started before it is over.
    const restarts = { ...options.restarts, firstDelayMs: 200, maxDelayMs: 1000 }
    const exit = await Effect.runPromise(Effect.exit(supervise({ ...options, restarts })))
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain(
      "lane 0 failed 5 times in a row, the last time with: again"
    )
    expect(starts(units[0])).toBe(5)
    // The others were stopped cleanly.
    expect(units[1]?.metrics.get("commits")).toBe(1)
  })

  test("whenever its state has come back is given up: that is no healthy run, however long it takes", async () => {
    const { units, options } = crew("restores", 1)
    const restarts = { ...options.restarts, healthyMs: 1 }
    const exit = await Effect.runPromise(Effect.exit(supervise({ ...options, restarts })))
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain("lane 0 failed 5 times in a row")
    expect(starts(units[0])).toBe(5)
  })

  test("by a fatal error ends the job at once", async () => {
    const { units, options } = crew("fatal")
    const exit = await Effect.runPromise(Effect.exit(supervise(options)))
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain("lane 0: a person must act")
    expect(starts(units[0])).toBe(1)
  })
})

describe("stopping", () => {
  test("lanes that are to end do so by themselves, also one that was just started again, and tables behind them", async () => {
    const { units, events, options } = crew("throws")
    const table: Unit = { kind: "clickhouse", index: 1, name: "table a", metrics: new LaneMetrics() }
    const { orders } = options
    const partitions = units.map(({ index: partition }) => ({ topic: "orders", partition }))
    const whereabouts = Whereabouts.of(partitions, units.length)
    // What a lane said before it failed does not hold any more.
    const before = 2
    for (const [lane, one] of partitions.entries()) whereabouts.say(lane, [one], before, [one])
    const told = until(() => starts(units[0]) >= 2 && starts(table) === 1).pipe(
      Effect.andThen(Effect.sync(() => expect(whereabouts.all(before)).toBe(false))),
      Effect.andThen(Effect.sync(() => orders.give({ type: "halt", halt: { number: 1, drain: true } }))),
      Effect.andThen(until(() => whereabouts.all(1))),
      Effect.andThen(Effect.sync(() => orders.give({ type: "stop" })))
    )
    const supervised = supervise({ ...options, whereabouts, units: [...units, table] })
    await Effect.runPromise(Effect.all([supervised, told], { concurrency: "unbounded" }))
    expect(starts(units[0])).toBe(3)
    expect([...units, table].map(unit => unit.metrics.get("commits"))).toEqual([1, 1, 1])
    expect(events).toEqual(["restart lane 0", "restart lane 0"])
  })

  test("is clean: every unit ends by itself", async () => {
    const { units, events, options } = crew("fine", 3)
    await runUntil(options, () => units.every(unit => starts(unit) === 1))
    expect(units.map(unit => unit.metrics.get("commits"))).toEqual([1, 1, 1])
    expect(events).toEqual([])
  })

  test("ends a unit that does not listen by force, within bounded time", async () => {
    const { units, events, options } = crew("deaf")
    await runUntil({ ...options, stopWithinMs: 300 }, () => units.every(unit => starts(unit) === 1))
    expect(events.sort()).toEqual(["forced lane 0", "forced lane 1"])
  })

  test("does not wait for a unit that is still starting, and is clean", async () => {
    const { units, events, options } = crew("starting")
    await runUntil(options, () => units.every(unit => starts(unit) === 1))
    expect(events).toEqual([])
  })
})

describe("a unit whose thread hangs", () => {
  const hanging = (action: "restart" | "stop" | "warn", away: Away = {}) => {
    const made = crew("hangs")
    const stalls: string[] = []
    const onStall = (unit: string, reason: string | undefined) => {
      if (reason !== undefined) stalls.push(`${unit} ${reason}`)
    }
    const watchdog = {
      ...made.options.watchdog,
      afterMs: HANGS_AFTER_MS,
      action,
      away: Effect.succeed(away),
      onStall
    }
    return { ...made, stalls, options: { ...made.options, watchdog } }
  }
  const where = "its thread hangs in the pipeline's functions at orders/3 offset 42"

  test("is named and started again, and given up after some times", async () => {
    const { units, events, stalls, options } = hanging("restart", { kafka: "all" })
    const exit = await Effect.runPromise(Effect.exit(supervise(options)))
    expect(Exit.isFailure(exit) && String(exit.cause)).toMatch(
      new RegExp(`lane 0 failed 2 times in a row, the last time with: stalled for \\d+ s: ${where}`)
    )
    expect(starts(units[0])).toBe(2)
    expect(events).toEqual(["restart lane 0"])
    expect(stalls.join("\n")).toContain(where)
    // The other one went on, and was stopped cleanly.
    expect(units[1]?.metrics.get("commits")).toBe(1)
  })

  test("ends the job where the policy says so", async () => {
    const { units, options } = hanging("stop")
    const exit = await Effect.runPromise(Effect.exit(supervise(options)))
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain(where)
    expect(starts(units[0])).toBe(1)
  })

  test("is only named where the policy says so", async () => {
    const { units, stalls, options } = hanging("warn")
    // It hangs until it is ended by force.
    await runUntil(
      { ...options, stopWithinMs: 300 },
      () => stalls.some(one => one.startsWith("lane 0") && one.endsWith(where)) && starts(units[1]) === 1
    )
    expect(starts(units[0])).toBe(1)
  })
})

test("a unit that gets nothing is stalled only once no server is away that it may wait for", async () => {
  const { units, options } = crew("lags", 1)
  const stalls: string[] = []
  let asked = 0
  let away: Away = { kafka: "all", registry: "all", clickhouse: "all" }
  const watchdog = {
    ...options.watchdog,
    afterMs: 500,
    action: "warn" as const,
    away: Effect.sync(() => {
      asked++
      return away
    }),
    onStall: (_: string, reason = "") => void stalls.push(reason)
  }
  const named = () => stalls.some(reason => /reads nothing, though there is something to read; lag 5$/.test(reason))
  await runUntil({ ...options, watchdog }, () => {
    if (asked < 3) return false
    if (away.kafka !== undefined) expect(named()).toBe(false)
    // Not one that a lane does not need.
    away = { clickhouse: "all" }
    return named()
  })
  expect(starts(units[0])).toBe(1)
})

test("a round of checkpoints that fails, or whose thread hangs, is counted, and the next one begins", async () => {
  const { options } = crew("checkpoints", 1)
  const checkpoints = new Checkpoints(20, Date.now())
  const { checkpoint, ...rest } = options.job
  const all = { ...rest, checkpoint: { ...checkpoint, intervalMs: 20 } }
  const watchdog = { ...options.watchdog, afterMs: HANGS_AFTER_MS, action: "stop" as const }
  const warnings = new Set<string | undefined>()
  await runUntil({ ...options, job: all, watchdog, checkpoints }, () => {
    warnings.add(checkpoints.warning(Date.now()))
    return checkpoints.completed >= 2
  })
  expect(checkpoints.failed).toBe(2)
  expect([...warnings].join("\n")).toMatch(
    /no round was completed for \d+ s \(checkpoint.interval is 0.02 s\); stalled .*hangs.*; the last round failed: no room/
  )
  const now = Date.now()
  checkpoints.succeeded(5, now)
  expect([checkpoints.warning(now), checkpoints.ageMs(now + 7)]).toEqual([undefined, 7])
})
