/** What is planted, what is due for it, and what the pipeline finds: each against the others. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { TestDriver } from "headrace-test"
import { Accounts, accountIndex, MAX_ACCOUNTS } from "../src/generator/accounts.ts"
import { EventMaker } from "../src/generator/events.ts"
import { Plants } from "../src/generator/plants.ts"
import { Random } from "../src/generator/random.ts"
import { Tally } from "../src/generator/tally.ts"
import { Zipf } from "../src/generator/zipf.ts"
import { judge, judgeByRule } from "../src/measure/alerts.ts"
import { alertName, alertsDue } from "../src/scenarios/payments/due.ts"
import { isWatched } from "../src/scenarios/payments/fraud.ts"
import { GUESS_MS, LARGE_CENTS, SMALL_CENTS, TRAVEL_MS, TRIAL_MS } from "../src/scenarios/payments/limits.ts"
import { alerts } from "../src/scenarios/payments/pipeline.ts"
import { type AccountEvent, type Alert, RULES } from "../src/scenarios/payments/schemas.ts"
import { lengthOf, SCRIPTS } from "../src/scenarios/payments/scripts.ts"

const START = 1_800_000_000_000

const usual: AccountEvent = {
  ...{ id: 0, kind: "payment", account: "a", at: START, sentAt: START, cents: 20_00, currency: "EUR", merchant: "m" },
  ...{ country: "DE", channel: "app", device: "d", ok: true }
}

const found = (driver: TestDriver): string[] => driver.values<Alert>("payments.alerts").map(alertName).sort()

const due = (events: readonly AccountEvent[]): string[] =>
  [...Map.groupBy(events, ({ account }) => account).values()].flatMap(alertsDue).sort()

describe("what is due", () => {
  test.each(SCRIPTS.map(script => [script.what, script] as const))("%s", (_, { cues, alerts: expected }) => {
    const events = cues.map(({ after, elsewhere, ...rest }, id) => ({
      ...usual,
      ...rest,
      id,
      at: START + after,
      account: elsewhere ? "b" : "a"
    }))
    expect(due(events)).toHaveLength(expected)
  })

  /** What patterns ask about, at distances that just suffice and just do not. */
  const deed = fc.record({
    kind: fc.constantFrom("payment", "login", "terminal"),
    cents: fc.constantFrom(SMALL_CENTS - 1, SMALL_CENTS, LARGE_CENTS, LARGE_CENTS + 1),
    channel: fc.constantFrom("web", "card", "atm", "app"),
    country: fc.constantFrom("DE", "PT"),
    ok: fc.boolean()
  })
  const failed = fc.constant({ kind: "login", channel: "web", ok: false })
  const right = fc.constant({ kind: "login", channel: "web", ok: true })
  const online = fc.constant({ kind: "payment", channel: "web" })
  const paid = deed.map(drawn => ({ ...drawn, kind: "payment" }))
  const event = fc.tuple(
    fc.constantFrom("a", "a", "a", "b"),
    fc.oneof(deed, paid, paid, failed, failed, failed, right, online)
  )
  const gap = fc.constantFrom(
    0,
    0,
    1,
    1,
    500,
    500,
    1_000,
    1_000,
    3_000,
    GUESS_MS - 1,
    GUESS_MS,
    TRIAL_MS - 1,
    TRIAL_MS,
    TRAVEL_MS
  )
  const stream = fc.array(fc.tuple(event, gap), { minLength: 1, maxLength: 40, size: "max" }).map(drawn => {
    let at = START
    return drawn.map(([[account, one], after], id): AccountEvent => {
      at += after
      return { ...usual, ...(one as Partial<AccountEvent>), account, id, at }
    })
  })

  test("is what the pipeline finds, in whatever order the events come, and over restarts", () => {
    const some = new Map<string, number>()
    const property = fc.property(stream, fc.infiniteStream(fc.nat()), (events, draws) => {
      const driver = new TestDriver(alerts, { watermarks: "manual", partitions: 2 })
      const seen: string[] = []
      for (const left = [...events]; left.length > 0; ) {
        const draw = draws.next().value
        driver.push("payments", ...left.splice(draw % left.length, 1))
        if (draw % 3 === 0) driver.restore()
        driver.watermark(Math.min(...left.map(({ at }) => at), START + 1e9) - 1)
        seen.push(...found(driver))
      }
      driver.watermark("end")
      expect([...seen, ...found(driver)].sort()).toEqual(due(events))
      for (const [rule = ""] of due(events).map(name => name.split(" "))) some.set(rule, (some.get(rule) ?? 0) + 1)
    })
    fc.assert(property, { numRuns: 300 })
    for (const rule of RULES) expect(some.get(rule)).toBeGreaterThan(2)
  })
})

describe("what is planted", () => {
  /** The events of one thread of a run, and what is due for them. */
  const run = (forMs: number, perMs: number) => {
    const [disorderMs, eventTimeShiftMs] = [2_000, 7]
    const endAt = START + forMs
    const plants = new Plants(
      { run: 3, thread: 0, threads: 1, partitions: 4, disorderMs, eventTimeShiftMs, endAt },
      new Random(5)
    )
    const options = { seed: 7, disorderMs, lateFraction: 0.001, eventTimeShiftMs }
    const accounts = new Accounts(500, 4)
    const maker = new EventMaker(0, 0, options, accounts, new Zipf(500, 1), new Tally(4), plants)
    const events = Array.from({ length: forMs * perMs }, (_, n) => {
      maker.next(START + n / perMs)
      return { ...maker.event }
    })
    return { plants, events, onTime: events.filter(({ at, sentAt }) => sentAt - at < 60_000) }
  }

  test("is found, all of it, among events that are found nowhere; and once", () => {
    const { plants, events, onTime } = run(80_000, 2)
    expect(due(onTime)).toEqual([...plants.alerts()].sort())
    const driver = new TestDriver(alerts, { partitions: 4 })
    for (const [n, event] of events.entries()) {
      if (isWatched(event)) driver.push("payments", event)
      if (n % 20_000 === 7_000) driver.restore()
    }
    driver.watermark(Math.max(...onTime.map(({ at }) => at)) + 11_000)
    expect(found(driver)).toEqual([...plants.alerts()].sort())
  })

  test("is every script in turns, and raises as many alerts as it is to", () => {
    const forMs = 700_000
    const { events } = run(forMs, 1)
    // Later than this there is no time for the longest of them any more.
    const turns = Math.floor((forMs - 3_000 - Math.max(...SCRIPTS.map(lengthOf))) / 101 / SCRIPTS.length)
    const number = ({ account }: AccountEvent) => Math.floor((accountIndex(account) - MAX_ACCOUNTS) / 2)
    const planted = events.filter(event => number(event) >= 0 && number(event) < turns * SCRIPTS.length)
    expect(turns).toBeGreaterThan(30)
    for (const [n, script] of SCRIPTS.entries()) {
      const of = planted.filter(event => number(event) % SCRIPTS.length === n)
      expect(of).toHaveLength(turns * script.cues.length)
      expect(due(of)).toHaveLength(turns * script.alerts)
    }
  })

  test("has something for each pattern, also in a run of five seconds", () => {
    const { plants } = run(5_000, 1)
    for (const rule of RULES) expect(plants.alerts().filter(name => name.startsWith(rule)).length).toBeGreaterThan(0)
  })

  test("comes to happen in another order than it comes in", () => {
    const { events } = run(20_000, 2)
    const planted = events.filter(({ account }) => account.startsWith("plnt"))
    const times = [...Map.groupBy(planted, ({ account }) => account).values()]
    expect(times.filter(of => of.some(({ at }, i) => at < (of[i - 1]?.at ?? 0))).length).toBeGreaterThan(20)
    for (const { at, sentAt } of planted) {
      expect(sentAt - (at - 7)).toBeGreaterThanOrEqual(0)
      expect(sentAt - (at - 7)).toBeLessThan(2_200)
    }
  })
})

describe("the audit of alerts", () => {
  const names = ["trial 1 2", "trial 3 4", "guess 5 6", "silence 7 7"]
  const once = new Map(names.map(name => [name, 1]))

  test("finds nothing wrong where nothing is", () => {
    expect(judge(names, once)).toEqual({ found: 4, missed: 0, false: 0 })
  })
  test("counts what is missed, what is false, and what came twice", () => {
    const came = new Map([...once, ["trial 1 4", 1], ["silence 7 7", 3]])
    came.delete("guess 5 6")
    expect(judge(names, came)).toEqual({ found: 3, missed: 1, false: 3 })
    expect(judgeByRule(names, came)).toEqual({
      trial: { found: 2, missed: 0, false: 1 },
      guess: { found: 0, missed: 1, false: 0 },
      travel: { found: 0, missed: 0, false: 0 },
      silence: { found: 1, missed: 0, false: 2 }
    })
  })
})
