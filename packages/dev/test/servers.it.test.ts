import { afterAll, beforeAll, expect, test } from "bun:test"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { createClient } from "@clickhouse/client"
import {
  type ClickHouse,
  embeddedClickHouse,
  type Kafka,
  type Registry,
  startClickHouse,
  startKafka,
  startKafkaCluster,
  startRegistry
} from "@headrace/dev"
import { startProgram } from "../src/process.ts"
import { brokerAnswers } from "../src/wire.ts"

let kafkas: Kafka[] = []
let registry: Registry
let clickhouse: ClickHouse

beforeAll(async () => {
  const [one, two, three, four] = await Promise.all([startKafka(), startKafka(), startRegistry(), startClickHouse()])
  kafkas = [one, two]
  registry = three
  clickhouse = four
})

afterAll(async () => {
  await Promise.all([...kafkas, registry, clickhouse].map(server => server?.stop()))
})

/** One that is there may take its time on a busy machine; one that is not refuses at once. */
const answers = (kafka: Kafka) => brokerAnswers("127.0.0.1", kafka.port, 60_000)

test("two brokers serve side by side on ports of their own", async () => {
  expect(await Promise.all(kafkas.map(answers))).toEqual([true, true])
  expect(new Set(kafkas.map(kafka => kafka.bootstrap)).size).toBe(2)
  expect(new Set(kafkas.map(kafka => kafka.dataDir)).size).toBe(2)
})

test("a broker that was killed comes back on its port, with its data", async () => {
  const [kafka] = kafkas
  const before = kafka!.pid
  await kafka!.kill()
  expect(await answers(kafka!)).toBe(false)
  await kafka!.restart()
  expect(await answers(kafka!)).toBe(true)
  expect(kafka!.pid).not.toBe(before)
  expect(existsSync(join(kafka!.dataDir, "__cluster_metadata-0"))).toBe(true)
})

test("a cluster of three serves on with one of them killed, and takes it back", async () => {
  const cluster = await startKafkaCluster(3)
  try {
    expect(cluster.bootstrap.split(",").length).toBe(3)
    const [first, ...others] = cluster.brokers
    await first!.kill()
    expect(await Promise.all(cluster.brokers.map(answers))).toEqual([false, true, true])
    await first!.restart()
    expect(await answers(first!)).toBe(true)
    await others[0]!.kill()
    expect(await answers(first!)).toBe(true)
  } finally {
    await cluster.stop()
  }
})

const headers = { "content-type": "application/vnd.schemaregistry.v1+json" }

async function post(path: string, schema: object) {
  const body = JSON.stringify({ schema: JSON.stringify(schema) })
  const response = await fetch(`${registry.url}${path}`, { method: "POST", headers, body })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

test("the registry keeps schemas and refuses one that is not backward compatible", async () => {
  const record = (fields: object[]) => ({ type: "record", name: "R", fields })
  const first = await post("/subjects/dev-value/versions", record([{ name: "a", type: "int" }]))
  expect(first.status).toBe(200)
  const stored = await fetch(`${registry.url}/schemas/ids/${first.body.id}`)
  expect(JSON.stringify(await stored.json())).toContain('\\"name\\":\\"R\\"')
  const second = await post(
    "/subjects/dev-value/versions",
    record([
      { name: "a", type: "int" },
      { name: "b", type: "string" }
    ])
  )
  expect(second.status).toBe(409)
})

test("ClickHouse over HTTP keeps what it acknowledged over kill -9, and drops a repeated block", async () => {
  const client = createClient({ url: clickhouse.url })
  await client.command({
    query:
      "CREATE TABLE events (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 10"
  })
  const insert = () =>
    client.insert({
      table: "events",
      values: [{ id: 1 }, { id: 2 }],
      format: "JSONEachRow",
      clickhouse_settings: { insert_deduplication_token: "block-1", async_insert: 0 }
    })
  await insert()
  await insert()
  await clickhouse.kill()
  await clickhouse.restart()
  await insert()
  const result = await client.query({ query: "SELECT id FROM events ORDER BY id", format: "JSONEachRow" })
  expect(await result.json<{ id: number }>()).toEqual([{ id: 1 }, { id: 2 }])
  await client.close()
})

test("ClickHouse in process has the same client", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "headrace-embedded-"))
  const client = await embeddedClickHouse(dataDir)
  try {
    await client.command({ query: "CREATE TABLE t (id UInt32) ENGINE = MergeTree ORDER BY id" })
    await client.insert({ table: "t", values: [{ id: 7 }], format: "JSONEachRow" })
    const result = await client.query({ query: "SELECT id FROM t", format: "JSONEachRow" })
    expect(await result.json<{ id: number }>()).toEqual([{ id: 7 }])
  } finally {
    await client.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
})

interface Started {
  readonly pids: readonly number[]
  readonly dataDirs: readonly string[]
}

function startParent(...servers: string[]): { parent: ChildProcess; started: Promise<Started> } {
  const script = join(import.meta.dir, "parent.ts")
  const parent = spawn(process.execPath, [script, ...servers], { stdio: ["ignore", "pipe", "inherit"] })
  const started = new Promise<Started>((resolve, reject) => {
    createInterface({ input: parent.stdout! }).once("line", line => resolve(JSON.parse(line) as Started))
    parent.once("exit", code => reject(new Error(`the parent ended with ${code} before its servers were up`)))
  })
  return { parent, started }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Asks until it is so; the test's own time limit is the deadline. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  test(`servers and their data go when their parent ends by ${signal}`, async () => {
    const { parent, started } = startParent("kafka", "registry", "clickhouse")
    const { pids, dataDirs } = await started
    expect(pids.map(isAlive)).toEqual([true, true, true])
    parent.kill(signal)
    await until(() => !pids.some(isAlive))
    await until(() => !dataDirs.some(existsSync))
  })
}

test("a server that is kept outlives its parent, and takes its data along", async () => {
  const script = `
    import { startClickHouse } from "@headrace/dev"
    const { pid, url, dataDir, keep } = await startClickHouse()
    await keep()
    console.log(JSON.stringify({ pid, url, dataDir }))
    process.exit()`
  const parent = Bun.spawnSync([process.execPath, "-e", script], { cwd: import.meta.dir })
  const { pid, url, dataDir } = JSON.parse(parent.stdout.toString()) as { pid: number; url: string; dataDir: string }
  try {
    const response = await fetch(`${url}/?query=SELECT%2042`)
    expect(await response.text()).toBe("42\n")
  } finally {
    process.kill(pid, "SIGTERM")
  }
  await until(() => !isAlive(pid) && !existsSync(dataDir))
})

/** 0: it has none yet. */
const childOf = (pid: number): number =>
  Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"), 10) || 0

test("one that is kept takes its data along, also where it ends before its watcher has heard of that", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "headrace-kept-"))
  const logFile = join(scratch, "log")
  const program = await startProgram({ name: "sleep", command: ["sleep", "1000"], logFile, scratch })
  // A signal to 0 reaches everybody.
  await until(() => childOf(program.pid) > 0)
  const watcher = childOf(program.pid)
  process.kill(watcher, "SIGSTOP")
  await until(() => / T /.test(readFileSync(`/proc/${watcher}/stat`, "utf8")))
  await program.keep()
  await program.kill()
  process.kill(watcher, "SIGCONT")
  await until(() => !existsSync(scratch))
})
