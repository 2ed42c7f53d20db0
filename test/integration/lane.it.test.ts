import { afterAll, beforeAll, expect, test } from "bun:test"
import { MessageChannel } from "node:worker_threads"
import { LaneMetrics } from "@headrace/engine"
import { Admin, PRODUCER_DEFAULTS, Producer } from "@headrace/kafka"
import { digest, toPlan } from "headrace"
import { standsAtEnd } from "../../packages/kafka/test/support.ts"
import runLane from "../../workers/lane.ts"
import pipeline, { Order, Rated, Total } from "../fixtures/orders.ts"
import { type OrdersWorld, startOrders } from "../support/orders.ts"
import { receive, send } from "../support/records.ts"

let world: OrdersWorld

beforeAll(async () => {
  world = await startOrders()
})

afterAll(() => world?.stop())

/** Runs one lane until `done`, then stops it cleanly. */
const runUntil = async (done: (metrics: LaneMetrics) => boolean | Promise<boolean>): Promise<LaneMetrics> => {
  const metrics = new LaneMetrics()
  const { port1, port2 } = new MessageChannel()
  const lane = runLane({
    kind: "lane",
    job: world.job("orders"),
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
    if (await done(metrics)) break
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
    world.servers,
    "orders",
    Order,
    orders(0, 1000, i => i * 10)
  )
  await runUntil(metrics => metrics.get("recordsIn") >= 1000)
  await send(
    world.servers,
    "orders",
    Order,
    orders(1000, 2000, i => i * 10)
  )
  await runUntil(metrics => metrics.get("recordsIn") >= 1000)
  const rated = await receive(world.servers, "orders.rated", Rated)
  expect(rated.map(({ value }) => value.id).sort((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 2000 }, (_, i) => i)
  )
  expect(rated.every(({ value, key }) => value.rating === Number(value.cents) % 10 && key === value.account)).toBe(true)
  const totals = await receive(world.servers, "orders.totals", Total)
  const first = totals.filter(({ value }) => value.windowStart === 0)
  expect(first.reduce((sum, { value }) => sum + Number(value.orders), 0)).toBe(1000)
  expect(first.reduce((sum, { value }) => sum + Number(value.total), 0)).toBe((999 * 1000) / 2)
})

const partitions = [0, 1, 2].map(partition => ({ topic: "orders", partition }))

/** Leaves nothing that a reader sees, but takes two offsets of each partition: a record and its marker. */
const sendAndAbort = async (): Promise<void> => {
  const config = { ...PRODUCER_DEFAULTS, "bootstrap.servers": world.servers.bootstrap, "transactional.id": "aborts" }
  const producer = Producer.open(config)
  const id = producer.topicId("orders")
  await producer.initTransactions(10_000)
  producer.begin()
  const index = Int32Array.from(partitions.flatMap(({ partition }) => [id, partition, 0, -1, 0, 1, 0, 0]))
  producer.produce({ bytes: new Uint8Array(1), index, stamps: new Float64Array(3) }, 0, 3)
  await producer.flush(10_000)
  await producer.abort(10_000)
  await producer.close()
}

test("retention that removes all of a quiet topic, markers too, is no loss", async () => {
  const config = { "bootstrap.servers": world.servers.bootstrap }
  await sendAndAbort()
  await runUntil(() => standsAtEnd(world.servers.bootstrap, "orders", partitions))
  const admin = Admin.open(config)
  await admin.deleteRecords(partitions.map(one => ({ ...one, offset: "end" })))
  await admin.close()
  const more = orders(2000, 2100, i => i * 10)
  await send(world.servers, "orders", Order, more)
  const metrics = await runUntil(one => one.get("recordsIn") >= more.length)
  expect(metrics.get("recordsIn")).toBe(more.length)
})
