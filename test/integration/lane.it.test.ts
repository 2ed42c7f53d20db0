import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MessageChannel } from "node:worker_threads"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { type JobConfig, LaneMetrics } from "@headrace/engine"
import { Admin } from "@headrace/kafka"
import { digest, toPlan } from "headrace"
import runLane from "../../workers/lane.ts"
import pipeline, { Order, Rated, Total } from "../fixtures/orders.ts"
import { receive, type Servers, send } from "../support/records.ts"

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-lane-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  await admin.createTopics([{ topic: "orders", partitions: 3, replication: 1 }])
  await admin.close()
}, 60_000)

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
}, 60_000)

const job = (): JobConfig => ({
  app: "orders",
  instance: "test",
  module: join(import.meta.dir, "../fixtures/orders.ts"),
  lanes: 1,
  kafka: { bootstrap: kafka.bootstrap, settings: {} },
  registry: { url: registry.url },
  commitIntervalMs: 25,
  checkpoint: { directory, intervalMs: 60_000, retained: 2 },
  sessionTimeoutMs: 10_000,
  replication: 1
})

/** Runs one lane until `done`, then stops it cleanly. */
const runUntil = async (done: (metrics: LaneMetrics) => boolean): Promise<LaneMetrics> => {
  const metrics = new LaneMetrics()
  const { port1, port2 } = new MessageChannel()
  const lane = runLane({
    kind: "lane",
    job: job(),
    index: 0,
    metrics: metrics.buffer,
    control: port2,
    digest: digest(toPlan(pipeline))
  })
  const ended = lane.then(
    () => "ended",
    error => Promise.reject(error)
  )
  for (;;) {
    const state = await Promise.race([ended, Bun.sleep(20).then(() => "running")])
    if (state === "ended") throw new Error("The lane ended by itself")
    if (done(metrics)) break
  }
  port1.postMessage({ type: "stop" })
  await lane
  port1.close()
  return metrics
}

const orders = (from: number, to: number, at: (i: number) => number) =>
  Array.from({ length: to - from }, (_, n) => {
    const i = from + n
    return { key: `account-${i % 7}`, id: i, account: `account-${i % 7}`, cents: i, at: at(i) }
  })

test("a lane enriches and sums, commits, and goes on from there after a restart", async () => {
  await send(
    servers,
    "orders",
    Order,
    orders(0, 1000, i => i * 10)
  )
  await runUntil(metrics => metrics.get("recordsIn") === 1000)
  await send(
    servers,
    "orders",
    Order,
    orders(1000, 2000, i => i * 10)
  )
  await runUntil(metrics => metrics.get("recordsIn") === 1000)
  const rated = await receive(servers, "orders.rated", Rated)
  expect(rated.map(({ value }) => value.id).sort((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 2000 }, (_, i) => i)
  )
  expect(rated.every(({ value, key }) => value.rating === Number(value.cents) % 10 && key === value.account)).toBe(true)
  const totals = await receive(servers, "orders.totals", Total)
  const first = totals.filter(({ value }) => value.windowStart === 0)
  expect(first.reduce((sum, { value }) => sum + Number(value.orders), 0)).toBe(1000)
  expect(first.reduce((sum, { value }) => sum + Number(value.total), 0)).toBe((999 * 1000) / 2)
}, 60_000)
