import { afterAll, beforeAll, expect, test } from "bun:test"
import { MessageChannel } from "node:worker_threads"
import { LaneMetrics } from "@headrace/engine"
import { digest, toPlan } from "headrace"
import runLane from "../../workers/lane.ts"
import pipeline, { Order, Rated, Total } from "../fixtures/orders.ts"
import { type OrdersWorld, startOrders } from "../support/orders.ts"
import { receive, send } from "../support/records.ts"

let world: OrdersWorld

beforeAll(async () => {
  world = await startOrders()
}, 60_000)

afterAll(() => world?.stop(), 60_000)

/** Runs one lane until `done`, then stops it cleanly. */
const runUntil = async (done: (metrics: LaneMetrics) => boolean): Promise<LaneMetrics> => {
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
    world.servers,
    "orders",
    Order,
    orders(0, 1000, i => i * 10)
  )
  await runUntil(metrics => metrics.get("recordsIn") === 1000)
  await send(
    world.servers,
    "orders",
    Order,
    orders(1000, 2000, i => i * 10)
  )
  await runUntil(metrics => metrics.get("recordsIn") === 1000)
  const rated = await receive(world.servers, "orders.rated", Rated)
  expect(rated.map(({ value }) => value.id).sort((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 2000 }, (_, i) => i)
  )
  expect(rated.every(({ value, key }) => value.rating === Number(value.cents) % 10 && key === value.account)).toBe(true)
  const totals = await receive(world.servers, "orders.totals", Total)
  const first = totals.filter(({ value }) => value.windowStart === 0)
  expect(first.reduce((sum, { value }) => sum + Number(value.orders), 0)).toBe(1000)
  expect(first.reduce((sum, { value }) => sum + Number(value.total), 0)).toBe((999 * 1000) / 2)
}, 60_000)
