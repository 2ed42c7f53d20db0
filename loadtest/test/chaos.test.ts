/** The parts of the chaos run that need no servers. */
import { expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { namedKills } from "../chaos/faults/kill.ts"
import { lateEndTxn } from "../chaos/faults/late.ts"
import { networkFaults } from "../chaos/faults/network.ts"
import { zombie } from "../chaos/faults/zombie.ts"
import { Line } from "../chaos/net/pipe.ts"
import { answers, apiOf, clientOf, frames } from "../chaos/net/units.ts"
import { type Planned, plan } from "../chaos/plan.ts"
import { descendantsOf } from "../chaos/precedence.ts"
import { type Findings, reportOf, sumOf } from "../chaos/report.ts"

const planned = (seed: number, count: number): Planned[] => {
  const faults = plan(seed)
  return Array.from({ length: count }, () => faults.next().value)
}
const first = (seed: number, count: number) =>
  planned(seed, count).map(({ fault, seed: own }) => `${fault.name} ${own}`)

test("the same seed plans the same faults, another one others", () => {
  expect(first(7, 200)).toEqual(first(7, 200))
  expect(first(7, 200)).not.toEqual(first(8, 200))
})

/** A run of half an hour gets through twelve rounds of 17. */
test("twelve rounds have enough of every group, and each fault a few times", () => {
  const dealt = planned(1, 12 * 17).map(({ fault }) => fault)
  const of = (group: string) => dealt.filter(fault => fault.group === group).length
  expect(of("kill")).toBeGreaterThanOrEqual(60)
  expect(of("zombie")).toBeGreaterThanOrEqual(20)
  expect(dealt.filter(({ name }) => name === "late EndTxn").length).toBeGreaterThanOrEqual(20)
  expect(of("broker")).toBeGreaterThanOrEqual(10)
  for (const fault of [...namedKills, ...networkFaults])
    expect(dealt.filter(one => one === fault).length).toBeGreaterThanOrEqual(2)
})

const request = (api: number, correlation: number, client: string): Buffer => {
  const frame = Buffer.alloc(14 + client.length)
  frame.writeInt32BE(frame.length - 4, 0)
  frame.writeInt16BE(api, 4)
  frame.writeInt32BE(correlation, 8)
  frame.writeInt16BE(client.length, 12)
  frame.write(client, 14)
  return frame
}

test("requests are found whole, however the bytes come", () => {
  const sent = [request(26, 1, "chaos-a-0-b"), request(0, 2, ""), request(1, 70_000, "a")]
  const bytes = Buffer.concat(sent)
  for (let size = 1; size <= bytes.length; size++) {
    const found: Buffer[] = []
    const push = frames(unit => found.push(Buffer.from(unit)))
    for (let at = 0; at < bytes.length; at += size) push(bytes.subarray(at, at + size))
    expect(found).toEqual(sent)
  }
  expect(apiOf(sent[0]!)).toBe(26)
  expect(clientOf(sent[0]!)).toBe("chaos-a-0-b")
  const response = Buffer.from([0, 0, 0, 4, 0, 0, 0, 2])
  expect(sent.map(one => answers(response, one))).toEqual([false, true, false])
})

test("a slow line takes its time for each byte, and all connections share it", () => {
  const line = new Line()
  expect(line.leaves(1000, 5)).toBe(5)
  line.shape = { frozen: false, delayMs: 50, bytesPerSecond: 1000 }
  expect(line.leaves(100, 10)).toBe(10 + 100 + 50)
  expect(line.leaves(100, 20)).toBe(10 + 200 + 50)
})

const clean = { missing: [], duplicated: [], disordered: [], wrong: [] }
const none = { missing: 0, duplicated: 0, disordered: 0, wrong: 0 }
const injection = (from: number, to: number, recoveryMs: number | undefined) => ({
  fault: zombie,
  from,
  to,
  recoveryMs
})
const alerts = new Map([
  ["trial 1 2", 1],
  ["silence 7 7", 1]
])
const found = (changes: Partial<Findings>): Findings => ({
  ...{ seed: 1, version: "0", startedAt: 0, endedAt: 1, sent: 100, accounts: 5, sessionMs: 1000, brokers: 1 },
  injections: [injection(0, 50, 10), injection(60, 90, 30)],
  ...{ planted: 4, due: [...alerts.keys()] },
  kafka: { ...clean, records: 100, counts: none, alerts },
  clickhouse: { ...clean, rows: 100, ids: 100, alerts },
  ...{ open: [], problems: [], missed: [] },
  ...changes
})

test("a report counts what is wrong by place and by the fault during which it was sent", () => {
  const kafka = {
    ...clean,
    records: 99,
    duplicated: [7],
    missing: [55],
    counts: { ...none, missing: 1, duplicated: 1 },
    alerts
  }
  const report = reportOf(found({ kafka, clickhouse: { ...clean, rows: 98, ids: 98, missing: [55, 61], alerts } }))
  expect(report).toMatchObject({ lost: 3, duplicated: 1, passed: false, totals: { zombie: 2 } })
  expect(report.clickhouse).toMatchObject({ lost: 2, records: 98 })
  expect(report.faults).toEqual([
    expect.objectContaining({
      injected: 2,
      events: 80,
      lost: 1,
      duplicated: 1,
      recovery_ms: { p50: 10, p99: 30, max: 30 }
    })
  ])
})

test("where recovery shows in ClickHouse, the times until it showed in Kafka stand beside it", () => {
  const injections = [
    { ...injection(0, 50, 5000), committedMs: 900 },
    { ...injection(60, 90, 3000), committedMs: 1200 }
  ]
  const times = { recovery_ms: { p50: 3000, p99: 5000, max: 5000 }, committed_ms: { p50: 900, p99: 1200, max: 1200 } }
  expect(reportOf(found({ injections })).faults).toEqual([expect.objectContaining(times)])
  expect(reportOf(found({})).faults[0]).not.toHaveProperty("committed_ms")
})

test("alerts are counted by place, and what is wrong with them is said by name", () => {
  const right = { found: 2, missed: 0, false: 0, duplicated: 0 }
  const whole = reportOf(found({}))
  expect(whole.alerts).toMatchObject({ planted: 4, kafka: right, clickhouse: right })
  expect(whole.alerts.by_rule).toMatchObject({ trial: { found: 1, missed: 0, false: 0 }, guess: { found: 0 } })
  const wrong = new Map([
    ["silence 7 7", 3],
    ["travel 8 9", 1]
  ])
  const report = reportOf(found({ kafka: { ...found({}).kafka, alerts: wrong } }))
  expect(report.alerts.kafka).toEqual({ found: 1, missed: 1, false: 3, duplicated: 2 })
  expect(report.problems).toEqual([
    "alerts missing in Kafka: 1 (trial 1 2)",
    "alerts more than once in Kafka: 1 (silence 7 7)",
    "alerts not due, but in Kafka: 1 (travel 8 9)"
  ])
  expect(sumOf([whole, report]).alerts).toMatchObject({
    planted: 8,
    kafka: { found: 3, missed: 1, false: 3, duplicated: 2 },
    clickhouse: { found: 4, missed: 0 },
    by_rule: { silence: { found: 2, false: 2 } }
  })
})

const kafkaWith = (came: ReadonlyMap<string, number>) => ({ kafka: { ...found({}).kafka, alerts: came } })
const tableWith = (came: ReadonlyMap<string, number>) => ({ clickhouse: { ...found({}).clickhouse, alerts: came } })

test.each([
  ["an alert that is missing in Kafka", kafkaWith(new Map([...alerts].slice(1)))],
  ["an alert that is not due in Kafka", kafkaWith(new Map([...alerts, ["travel 8 9", 1]]))],
  ["an alert that is missing in ClickHouse", tableWith(new Map([...alerts].slice(1)))],
  ["an alert that is twice in ClickHouse", tableWith(new Map([...alerts, ["trial 1 2", 2]]))],
  [
    "state that does not follow from the record before",
    { kafka: { ...found({}).kafka, counts: { ...none, wrong: 1 } } }
  ],
  ["a fault that did not recover", { injections: [injection(0, 9, undefined)] }],
  ["an open transaction", { open: ["balances/0"] }],
  ["a process that gave up", { problems: ["a gave up"] }],
  ["a fault that was never injected", { missed: [{ fault: lateEndTxn, why: "none came by" }] }]
])("a run does not pass with %s", (_, changes) => {
  const whole = reportOf(found({}))
  expect(whole.passed).toBe(true)
  expect(reportOf(found(changes)).passed).toBe(false)
  expect(sumOf([whole, reportOf(found(changes))])).toMatchObject({ passed: false, events: 200 })
})

test("a run is whoever it has started, and who was started by those", () => {
  const parents = new Map([
    [7, 5],
    [2, 1],
    [5, 2],
    [4, 9],
    [6, 1]
  ])
  expect(descendantsOf(1, parents).toSorted()).toEqual([2, 5, 6, 7])
})

/** A session of its own (`detached`) has a weight of its own. */
const nice = (pid: number) => readFileSync(`/proc/${pid}/autogroup`, "utf8").trim().split(" ").at(-1)
const hasSessions = existsSync("/proc/self/autogroup")

test.skipIf(process.getuid?.() !== 0 || !hasSessions)("a run and its processes come first", async () => {
  const others = Bun.spawn(["cat"], { stdin: "pipe", detached: true })
  const script = `
    const { Precedence } = await import(process.argv[1])
    const precedence = new Precedence()
    precedence.give(Number(process.argv[2]))
    precedence.end()
    console.log("given")
    await Bun.stdin.text()`
  const path = join(import.meta.dir, "../chaos/precedence.ts")
  const run = Bun.spawn([process.execPath, "-e", script, path, `${others.pid}`], { stdin: "pipe", detached: true })
  expect([nice(others.pid), nice(run.pid)]).toEqual(["0", "0"])
  await run.stdout.getReader().read()
  expect([nice(others.pid), nice(run.pid)]).toEqual(["-15", "-15"])
  run.stdin.end()
  others.kill()
  expect(await run.exited).toBe(0)
  await others.exited
})
