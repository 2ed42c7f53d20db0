/** Two lanes, a partition each: the one that is ahead in event time is paused at the broker until the other has followed. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { MessageChannel } from "node:worker_threads"
import { alignmentGroups, GroupClocks, LaneMetrics } from "@headrace/engine"
import { digest, toPlan } from "headrace"
import runLane from "../../workers/lane.ts"
import pipeline, { Tick } from "../fixtures/aligned.ts"
import { type OrdersWorld, startOrders } from "../support/orders.ts"
import { createTopic, receive, send } from "../support/records.ts"

const LANES = 2
/** More than some polls bring: 8,192 each, of which one is under way when the partition is paused. */
const AHEAD = 60_000
const SOME_POLLS = 4 * 8_192

let world: OrdersWorld

beforeAll(async () => {
  world = await startOrders()
  await createTopic(world.servers, "ticks", LANES)
}, 60_000)

afterAll(() => world?.stop(), 60_000)

const plan = toPlan(pipeline)

type Lanes = readonly LaneMetrics[]

/** Runs both lanes for as long as a script takes, which waits for what their figures say; then stops them. */
const runLanes = async (script: (until: (done: (lanes: Lanes) => boolean) => Promise<void>) => Promise<void>) => {
  const clocks = GroupClocks.bufferOf(alignmentGroups(plan).length, LANES)
  const lanes = Array.from({ length: LANES }, (_, index) => {
    const metrics = new LaneMetrics()
    const { port1, port2 } = new MessageChannel()
    const job = { ...world.job("aligned"), lanes: LANES, module: join(import.meta.dir, "../fixtures/aligned.ts") }
    const task = {
      kind: "lane",
      job,
      index,
      metrics: metrics.buffer,
      control: port2,
      digest: digest(plan),
      clocks
    } as const
    return { metrics, control: port1, ended: runLane(task) }
  })
  const early = Promise.race(lanes.map(({ ended }) => ended.then(() => "ended" as const)))
  await script(async done => {
    while (!done(lanes.map(({ metrics }) => metrics))) {
      // Somebody else writes these figures, and says nothing when they change.
      const state = await Promise.race([early, Bun.sleep(20).then(() => "running" as const)])
      if (state === "ended") throw new Error("A lane ended by itself")
    }
  })
  for (const { control } of lanes) control.postMessage({ type: "stop" })
  await Promise.all(lanes.map(({ ended }) => ended))
  for (const { control } of lanes) control.close()
}

const sum = (lanes: Lanes, name: "heldBack" | "recordsIn" | "lag") =>
  lanes.reduce((all, metrics) => all + metrics.get(name), 0)

/** A partition that nobody has, as while the group moves it, holds up no other one. */
const haveOneEach = (lanes: Lanes) => lanes.every(metrics => metrics.get("partitions") === 1)
const isHeld = (lanes: Lanes) => sum(lanes, "heldBack") === 1

const ticks = (partition: number, from: number, to: number, at: (i: number) => number) =>
  Array.from({ length: to - from }, (_, i) => ({
    key: "",
    partition,
    id: (from + i) * LANES + partition,
    at: at(from + i)
  }))

test("a partition that is ahead waits for one in another lane, over a restart, and each record comes out once", async () => {
  const seconds = (i: number) => i * 1000
  const sendTo = (...args: Parameters<typeof ticks>) => send(world.servers, "ticks", Tick, ticks(...args))
  await runLanes(async until => {
    await until(haveOneEach)
    await sendTo(0, 0, 5, seconds)
    await sendTo(1, 0, AHEAD, seconds)
    await until(lanes => isHeld(lanes) && lanes.every(metrics => metrics.get("recordsIn") > 0))
  })
  const early = await receive(world.servers, "ticks.seen", Tick)
  expect(early.length).toBeLessThan(SOME_POLLS)

  // The one behind ends beyond the other: that one is waited for now, and does not have to wait.
  const behind = (2 * AHEAD) / 10 + 20
  await runLanes(async until => {
    await until(haveOneEach)
    await sendTo(1, AHEAD, 2 * AHEAD, seconds)
    await until(isHeld)
    await sendTo(0, 5, behind, i => i * 10_000)
    // What a rebalance aborts comes in twice.
    const all = 2 * AHEAD + behind - early.length
    await until(lanes => sum(lanes, "recordsIn") >= all && sum(lanes, "lag") === 0)
  })
  const seen = await receive(world.servers, "ticks.seen", Tick)
  const ids = seen.map(({ value }) => Number(value.id)).toSorted((a, b) => a - b)
  const sent = [...ticks(0, 0, behind, Number), ...ticks(1, 0, 2 * AHEAD, Number)].map(({ id }) => id)
  expect(ids).toEqual(sent.toSorted((a, b) => a - b))
}, 120_000)
