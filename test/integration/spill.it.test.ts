import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ClickHouse, type Kafka, type Registry, startClickHouse, startKafka, startRegistry } from "@headrace/dev"
import { Visit } from "../fixtures/visits.ts"
import { Headrace, poll } from "../support/headrace.ts"
import { createTopic, type Servers, send } from "../support/records.ts"
import { rowsOf } from "../support/sql.ts"

const ACCOUNTS = 120_000
const VISITS = 2
const PARTITIONS = 2
const BOUND_MB = 16
const MB = 1 << 20
/** Of the process as a whole, that catches up: clients' queues, outputs of two transactions and two sinks are most of it, 0.9 to 1.05 GB. */
const RSS_MB = 1500
/** What the records of a poll (8,192 of them) add to state. */
const POLL_MB = 8
/** Two polls may come on top of the bound: one is under way while the one before it is worked on. */
const MOST_MB = BOUND_MB + 2 * POLL_MB

let kafka: Kafka
let registry: Registry
let clickhouse: ClickHouse
let servers: Servers
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-spill-"))
  ;[kafka, registry, clickhouse] = await Promise.all([startKafka(), startRegistry(), startClickHouse()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
  await createTopic(servers, "visits", PARTITIONS)
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop(), clickhouse?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const accountOf = (i: number) => `account-${String(i).padStart(6, "0")}`
const centsOf = (i: number, visit: number) => (i * 31 + visit * 7) % 1000
/** Round by round, so that no account's next visit comes while it is still young. */
const visits = Array.from({ length: ACCOUNTS * VISITS }, (_, n) => {
  const i = (n * 7919) % ACCOUNTS
  const account = accountOf(i)
  return { key: account, account, cents: centsOf(i, Math.floor(n / ACCOUNTS)), at: n }
})
/** Behind the window's end, in every partition. */
const closing = Array.from({ length: PARTITIONS }, (_, partition) => ({
  key: `closing-${partition}`,
  account: `closing-${partition}`,
  cents: 0,
  at: 2 * 3_600_000,
  partition
}))

const start = () =>
  new Headrace(join(import.meta.dir, "../fixtures/visits.ts"), {
    clusters: { kafka: kafka.bootstrap, registry: registry.url, clickhouse: clickhouse.url },
    checkpoints: join(directory, "checkpoints"),
    flags: [
      ...["--lanes", "1", "--checkpoint-interval", "3 seconds"],
      ...["--state-memory", `${BOUND_MB} MB`, "--state-directory", join(directory, "spill")]
    ]
  })

interface Peaks {
  stateMb: number
  spilledMb: number
  rssMb: number
}

const look = async (headrace: Headrace, peaks: Peaks): Promise<void> => {
  const [state, spilled, rss] = await Promise.all([
    headrace.metric("headrace_state_bytes"),
    headrace.metric("headrace_operator_spilled_bytes"),
    headrace.metric("process_resident_memory_bytes")
  ])
  peaks.stateMb = Math.max(peaks.stateMb, state / MB)
  peaks.spilledMb = Math.max(peaks.spilledMb, spilled / MB)
  peaks.rssMb = Math.max(peaks.rssMb, rss / MB)
}

const countOf = async (table: string): Promise<number> => {
  const rows = await rowsOf<{ n: string }>(clickhouse.url, `SELECT count() AS n FROM ${table}`).catch(() => [])
  return Number(rows[0]?.n ?? 0)
}

test("state of many times its memory is right, in bounds, and survives kill -9", async () => {
  await send(servers, "visits", Visit, [...visits, ...closing])
  const peaks: Peaks = { stateMb: 0, spilledMb: 0, rssMb: 0 }
  let headrace = start()
  const until = (table: string, rows: number) =>
    poll(
      async () => {
        await look(headrace, peaks)
        return (await countOf(table)) >= rows || !headrace.running
      },
      () => `${rows} rows in ${table}: ${headrace.log}`
    )
  // In the middle of the second round most state is on disk.
  await until("counted", ACCOUNTS * 1.5)
  expect(headrace.log).toMatch(/WARN .*state is beyond half of the 16 MB/)
  await headrace.kill()
  headrace = start()
  await until("counted", visits.length + closing.length)
  await until("spent", ACCOUNTS)
  expect(await headrace.stop()).toBe(0)
  console.log(peaks)
  expect(await readdir(join(directory, "spill"))).toEqual([])

  const counted = await rowsOf<{ account: string; visits: number; cents: number }>(
    clickhouse.url,
    "SELECT account, visits, cents FROM counted WHERE account LIKE 'account-%' ORDER BY account, visits"
  )
  const expected = Array.from({ length: ACCOUNTS }, (_, i) => {
    let cents = 0
    return Array.from({ length: VISITS }, (_, visit) => {
      cents += centsOf(i, visit)
      return { account: accountOf(i), visits: visit + 1, cents }
    })
  }).flat()
  expect(counted.length).toBe(expected.length)
  expect(counted).toEqual(expected)
  const spent = await rowsOf<object>(clickhouse.url, "SELECT key, spent, visits FROM spent ORDER BY key")
  const windows = expected.filter(one => one.visits === VISITS)
  expect(spent).toEqual(windows.map(({ account, cents }) => ({ key: account, spent: cents, visits: VISITS })))

  expect(peaks.stateMb).toBeLessThan(MOST_MB)
  // As bytes; in memory it would be twice as much and more.
  expect(peaks.spilledMb).toBeGreaterThan(2 * BOUND_MB)
  expect(peaks.rssMb).toBeLessThan(RSS_MB)
}, 600_000)
