import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import type { JobConfig } from "@headrace/engine"
import { Admin } from "@headrace/kafka"
import { digest, toPlan } from "headrace"
import pipeline, { Order, Rated, Total } from "../fixtures/orders.ts"
import { receive, type Servers, send } from "../support/records.ts"

setDefaultTimeout(120_000)

const root = join(import.meta.dir, "../..")
const bin = (name: string) => join(root, "node_modules/.bin", name)
const RECORDS = 1000

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-runtime-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  await admin.createTopics([{ topic: "orders", partitions: 3, replication: 1 }])
  await admin.close()
  const orders = Array.from({ length: RECORDS }, (_, i) => {
    const account = `account-${i % 7}`
    return { key: account, id: i, account, cents: i, at: i * 20 }
  })
  await send(servers, "orders", Order, orders)
}, 120_000)

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const job = (app: string): JobConfig => ({
  app,
  instance: "test",
  module: join(root, "test/fixtures/orders.ts"),
  lanes: 1,
  kafka: { bootstrap: kafka.bootstrap, settings: {} },
  registry: { url: registry.url },
  commitIntervalMs: 25,
  checkpoint: { directory, intervalMs: 60_000, retained: 2 },
  sessionTimeoutMs: 10_000,
  replication: 1
})

const runIn = async (command: readonly string[], app: string) => {
  const task = { job: job(app), digest: digest(toPlan(pipeline)), records: RECORDS }
  const script = join(import.meta.dir, "lane.ts")
  const child = Bun.spawn([...command, script, JSON.stringify(task)], { stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited
  ])
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${err}`)
  return JSON.parse(out) as { read: number; written: boolean }
}

const RUNTIMES = { Bun: [bin("bun")], Node: [bin("node")], Deno: [bin("deno"), "run", "--allow-all", "--no-lock"] }

Object.entries(RUNTIMES).forEach(([runtime, command], before) => {
  test(`a typed pipeline runs end to end in ${runtime}`, async () => {
    expect(await runIn(command, `orders-${runtime.toLowerCase()}`)).toEqual({ read: RECORDS, written: true })
    const rated = await receive(servers, "orders.rated", Rated)
    expect(rated.length).toBe(RECORDS * (before + 1))
    const totals = await receive(servers, "orders.totals", Total)
    const first = totals.filter(({ value }) => value.windowStart === 0)
    expect(first.reduce((sum, { value }) => sum + Number(value.orders), 0)).toBe(500 * (before + 1))
  })
})
