/** `npm run chaos` in short: one of each kind that is quickly over, and that its audit finds what there is to find. */
import { expect, test } from "bun:test"
import type { Fault } from "../chaos/faults/fault.ts"
import { killed, namedKills } from "../chaos/faults/kill.ts"
import { lateEndTxn, lateOffsets } from "../chaos/faults/late.ts"
import { networkFaults } from "../chaos/faults/network.ts"
import { brokerRestart, clickhouseDown } from "../chaos/faults/servers.ts"
import { zombie } from "../chaos/faults/zombie.ts"
import { undefendedJob } from "../chaos/place.ts"
import { planOf } from "../chaos/plan.ts"
import { type ChaosOptions, runChaos } from "../chaos/run.ts"

/** Another run of the same faults: HEADRACE_CHAOS_SEED=7. */
const seed = Number(process.env.HEADRACE_CHAOS_SEED ?? 1)

/** Two minutes, where nothing else is done on the machine. */
const LIMIT_MS = 600_000

const run = (faults: readonly Fault[], options: Partial<ChaosOptions> = {}) =>
  runChaos({
    seed,
    stages: [{ brokers: 1, plan: planOf(faults, seed), forMs: LIMIT_MS, accounts: 5000 }],
    rate: 2000,
    sessionMs: 4000,
    say: console.log,
    signal: new AbortController().signal,
    ...options
  })

const named = (...names: readonly string[]): Fault[] =>
  [...namedKills, ...networkFaults].filter(({ name }) => names.includes(name))

test("nothing is lost, doubled or out of order", async () => {
  const faults = [
    killed,
    ...named("kill -9 before sendOffsets", "kill -9 after EndTxn", "kill -9 after ClickHouse insert", "Kafka cut off"),
    zombie,
    lateEndTxn,
    lateOffsets,
    brokerRestart,
    clickhouseDown
  ]
  const report = await run(faults)
  const { lost, duplicated, disordered, problems, missed, passed } = report
  // Not the whole report: what CI keeps of a failure is short.
  expect({ lost, duplicated, disordered, problems, missed, passed }).toEqual({
    ...{ lost: 0, duplicated: 0, disordered: 0 },
    ...{ problems: [], missed: [], passed: true }
  })
  expect(report.faults.map(({ fault }) => fault).sort()).toEqual(faults.map(({ name }) => name).sort())
  expect(report.kafka.records).toBe(report.events)
  expect(report.clickhouse.records).toBe(report.events)
  expect(report.alerts.kafka).toMatchObject({ missed: 0, false: 0 })
  expect(report.alerts.clickhouse).toEqual(report.alerts.kafka)
  for (const { found } of Object.values(report.alerts.by_rule)) expect(found).toBeGreaterThan(0)
}, 600_000)

/**
 * It commits outputs and state without their offsets. What follows depends on where it strikes: the lane, which knows of no
 * commit, sends the same once more, and it is there twice; or state contradicts the group, so that the job refuses to go
 * on (after half a minute of hoping that the offsets are late), and what was sent from there on is missing.
 */
test("without the defence against torn transactions a late EndTxn does damage, and the audit finds it", async () => {
  const report = await run([lateEndTxn], { job: undefendedJob, patienceMs: 8000, keepLogs: false })
  expect(report).toMatchObject({ missed: [], passed: false, faults: [{ injected: 1 }] })
  expect(report.kafka.lost + report.kafka.duplicated).toBeGreaterThan(0)
})
