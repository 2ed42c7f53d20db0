import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ClickHouse, type Kafka, type Registry, startClickHouse, startKafka, startRegistry } from "@headrace/dev"
import { defaults, ensureTopics, type LoadReport, paymentsModule, runLoad } from "@headrace/loadtest"
import { Effect } from "effect"
import { Headrace } from "../support/headrace.ts"
import { auditAlerts, auditTopic, auditWindows, ensureIndependentClient } from "../support/independent.ts"
import { rowsOf } from "../support/sql.ts"

const KILLS = 10
const RATE = 3000
/** Another run of the same moments: HEADRACE_CHAOS_SEED=7. */
const seed = Number(process.env.HEADRACE_CHAOS_SEED ?? 20_261_124)

let kafka: Kafka
let registry: Registry
let clickhouse: ClickHouse
let checkpoints: string
let config: string

beforeAll(async () => {
  checkpoints = await mkdtemp(join(tmpdir(), "headrace-chaos-"))
  config = join(checkpoints, "config.yaml")
  const clusters = { kafka: { settings: { "group.protocol": protocol } } }
  await writeFile(config, JSON.stringify({ pipeline: paymentsModule, clusters }))
  ;[kafka, registry, clickhouse] = await Promise.all([
    startKafka(),
    startRegistry(),
    startClickHouse(),
    ensureIndependentClient()
  ])
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop(), clickhouse?.stop()])
  await rm(checkpoints, { recursive: true, force: true })
})

/** Mulberry32: the same numbers in [0, 1) from the same seed. */
const randomFrom = (start: number) => {
  let state = start
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** HEADRACE_CHAOS_PROTOCOL=consumer (KIP-848): each restart is refused until the session of its predecessor ends. */
const protocol = process.env.HEADRACE_CHAOS_PROTOCOL ?? "classic"

const start = () =>
  new Headrace(config, {
    clusters: { kafka: kafka.bootstrap, registry: registry.url, clickhouse: clickhouse.url },
    checkpoints,
    flags: ["--lanes", "2", "--checkpoint-interval", "2 seconds"]
  })

/** Kills at random moments from the very start of a process on; answers with the times from exec to the next commit. */
const killOften = async (first: Headrace, random: () => number) => {
  const recoveries: number[] = []
  let pipeline = first
  for (let kill = 0; kill < KILLS; kill++) {
    // One in five hits the start and the restore themselves, the others a process that commits and checkpoints.
    const atStart = random() < 0.2
    if (!atStart) await committed(pipeline, recoveries)
    await Bun.sleep(random() * (atStart ? 1500 : 3500))
    expect(pipeline.running ? "running" : pipeline.log).toBe("running")
    await pipeline.kill()
    pipeline = start()
  }
  await committed(pipeline, recoveries)
  return { pipeline, recoveries }
}

const committed = async (pipeline: Headrace, recoveries: number[]): Promise<void> => {
  await pipeline.reaches("headrace_commits_total", 1)
  recoveries.push(Math.round(performance.now() - pipeline.startedAt))
}

const loadOptions = (stop: AbortSignal) => ({
  ...defaults,
  kafka: { bootstrap: kafka.bootstrap, settings: {} },
  registry: { url: registry.url },
  clickhouse: { url: clickhouse.url, database: "default" },
  rate: RATE,
  // Until it is stopped.
  forMs: 600_000,
  accounts: 2000,
  // A partition's first seconds are not late; what is planted later is.
  lateFraction: 0.005,
  partitions: 4,
  seed,
  stop
})

test(`${KILLS} times kill -9 under load: nothing lost, doubled or out of order, windows and alerts exact`, async () => {
  const enough = new AbortController()
  const options = loadOptions(enough.signal)
  await Effect.runPromise(ensureTopics(options))
  const first = start()
  let report: LoadReport
  let last = first
  try {
    await first.says(/running, \d+ ms after the start/)
    const load = Effect.runPromise(runLoad(options))
    const { pipeline, recoveries } = await killOften(first, randomFrom(seed)).finally(() => enough.abort())
    last = pipeline
    report = await load
    console.log(
      `seed ${seed}: ${report.sent} events, ${report.patterns.found} alerts; ms from exec to the next commit: ${recoveries.join(", ")}`
    )
  } finally {
    enough.abort()
    console.log(
      last.log
        .split("\n")
        .filter(line => /WARN|ERROR|FATAL/.test(line))
        .join("\n")
    )
  }
  expect(report.problems).toEqual([])
  expect(report).toMatchObject({ processed: report.sent, lost: 0, duplicated: 0, disordered: 0, unacknowledged: 0 })
  expect(report.windows).toMatchObject({ duplicated: 0, payments: report.windows.expectedPayments, exact: true })
  expect(report.late.seen).toBeGreaterThan(0)
  expect(report.patterns).toMatchObject({ missed: 0, false: 0 })
  expect(report.clickhouse!.patterns).toEqual({ found: report.patterns.found, missed: 0, false: 0 })
  for (const { found } of Object.values(report.patterns.byRule)) expect(found).toBeGreaterThan(0)
  await checkIndependently(report.sent, report.patterns.found)
  await checkTables(report.sent)
  expect((await readdir(join(checkpoints, "payments", "payments"))).length).toBeGreaterThan(0)
  expect(await last.stop()).toBe(0)
}, 600_000)

let windows: Awaited<ReturnType<typeof auditWindows>>

/** By Confluent's client and avsc, which share no code with what is tested. */
const checkIndependently = async (sent: number, alerts: number): Promise<void> => {
  const where = { bootstrap: kafka.bootstrap, registry: registry.url }
  const scored = await auditTopic({ ...where, topic: "payments.scored", sent: String(sent) })
  expect(scored).toMatchObject({ distinct: sent, duplicated: 0, disordered: 0, missing: 0, unreadable: 0 })
  windows = await auditWindows(where)
  expect(windows.wrong).toEqual([])
  expect(windows.windows).toBeGreaterThan(0)
  // Also of all that was not planted.
  expect(await auditAlerts(where)).toEqual({ found: alerts, missed: 0, false: 0 })
}

/** ClickHouse holds every event once, and the very windows that the topic holds. */
const checkTables = async (sent: number): Promise<void> => {
  const [scored] = await rowsOf<{ rows: number; ids: number; places: number }>(
    clickhouse.url,
    `SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(id)) AS ids,
     toUInt32(uniqExact(_topic, _partition, _offset)) AS places FROM scored WHERE kind != 'heartbeat'`
  )
  expect(scored).toEqual({ rows: sent, ids: sent, places: sent })
  const spend = await rowsOf<{ row: (typeof windows.found)[number] }>(
    clickhouse.url,
    `SELECT [key, toString(windowStart), toString(spent), toString(payments), toString(largest)] AS row FROM spend`
  )
  expect(spend.map(({ row }) => row.join(" ")).sort()).toEqual(windows.found.map(row => row.join(" ")).sort())
}
