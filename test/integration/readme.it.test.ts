import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ClickHouse, type Kafka, type Registry, startClickHouse, startKafka, startRegistry } from "@headrace/dev"
import { Schema } from "effect"
import { headrace as command, Headrace, poll } from "../support/headrace.ts"
import { createTopic, receive, receiveBytes, type Servers, send } from "../support/records.ts"
import { rowsOf } from "../support/sql.ts"

let kafka: Kafka
let registry: Registry
let clickhouse: ClickHouse
let servers: Servers
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-readme-"))
  ;[kafka, registry, clickhouse] = await Promise.all([startKafka(), startRegistry(), startClickHouse()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop(), clickhouse?.stop()])
  await rm(directory, { recursive: true, force: true })
})

/** The first TypeScript block of the README that is a whole pipeline. */
const example = async (): Promise<string> => {
  const readme = await readFile(join(import.meta.dir, "../../README.md"), "utf8")
  const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(match => match[1]!)
  const found = blocks.find(block => block.includes("export default Pipeline.make"))
  if (found === undefined) throw new Error("README.md has no pipeline in a ```ts block")
  return found
}

// What somebody else's producer would send: the README's schemas, written down again.
const Payment = Schema.Struct({
  account: Schema.String,
  kind: Schema.String,
  merchant: Schema.String,
  cents: Schema.Number,
  at: Schema.Number
}).annotate({ identifier: "Payment" })
const Spend = Schema.Struct({
  key: Schema.String,
  windowStart: Schema.Number,
  windowEnd: Schema.Number,
  spent: Schema.Number,
  payments: Schema.Number
}).annotate({ identifier: "Spend" })

const payment = (account: string, at: number, cents: number, kind = "capture", merchant = "DE-Bakery") => ({
  key: account,
  partition: 0,
  account,
  kind,
  merchant,
  cents,
  at
})

test("the README's pipeline, as it stands there, sums up what it says, and goes on from a savepoint", async () => {
  const file = join(directory, "spend.ts")
  await writeFile(file, await example())
  await createTopic(servers, "payments", 1)
  await send(servers, "payments", Payment, [
    payment("ada", 1_000, 100),
    payment("bob", 2_000, 7),
    payment("ada", 9_999, 50),
    payment("ada", 3_000, 1_000_000, "refund"),
    payment("bob", 4_000, 5, "capture", ""),
    payment("ada", 10_000, 30),
    // Pushes the watermark behind both windows.
    payment("eve", 60_000, 1)
  ])
  const clusters = { kafka: kafka.bootstrap, registry: registry.url, clickhouse: clickhouse.url }
  const start = (...flags: string[]) =>
    new Headrace(file, {
      clusters,
      checkpoints: join(directory, "checkpoints"),
      flags: ["--lanes", "1", "--savepoints", join(directory, "savepoints"), ...flags]
    })
  const headrace = start()
  const expected = [
    { key: "ada", windowStart: 0, windowEnd: 10_000, spent: 150, payments: 2 },
    { key: "ada", windowStart: 10_000, windowEnd: 20_000, spent: 30, payments: 1 },
    { key: "bob", windowStart: 0, windowEnd: 10_000, spent: 7, payments: 1 }
  ]
  const rows = () => rowsOf<object>(clickhouse.url, SPENT).catch(() => [])
  const filled = async (job: Headrace, count: number) => {
    await poll(
      async () => (await rows()).length >= count || !job.running,
      () => job.log
    )
    expect(job.running ? "running" : job.log).toBe("running")
  }
  await filled(headrace, expected.length)
  const { out: savepoint } = await command("savepoint", "create", "--url", headrace.url!, "--stop")
  expect(await headrace.ended()).toBe(0)
  const spend = (await receive(servers, "spend", Spend)).map(({ value }) => value)
  expect(spend.sort((a, b) => order(a).localeCompare(order(b)))).toEqual(expected)
  expect(await rows()).toEqual(expected)
  const [dead, ...others] = await receiveBytes(servers.bootstrap, "payments.dlq")
  expect(others).toEqual([])
  expect(dead?.headers["headrace.error"]).toBe("UnknownMerchant")
  expect(dead?.key).toBe("bob")

  // Under another name, on the same topic and table.
  const second = start("--app", "spend-2", "--from-savepoint", savepoint.trim())
  await send(servers, "payments", Payment, [payment("eve", 61_000, 2), payment("ada", 150_000, 1)])
  await filled(second, expected.length + 1)
  expect(second.log).toContain("table spend: goes on behind the rows of spend-per-account")
  expect(await rows()).toEqual([
    ...expected,
    { key: "eve", windowStart: 60_000, windowEnd: 70_000, spent: 3, payments: 2 }
  ])
  expect(await second.stop()).toBe(0)
})

const SPENT = "SELECT key, windowStart, windowEnd, spent, payments FROM spend ORDER BY key, windowStart"
const order = (value: Record<string, unknown>): string =>
  `${String(value.key)}/${String(value.windowStart).padStart(9)}`
