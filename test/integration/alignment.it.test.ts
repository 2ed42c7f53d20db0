/** Two lanes, a partition each: the one that is ahead in event time is paused at the broker until the other has followed. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { MessageChannel } from "node:worker_threads"
import {
  alignedPartitions,
  Clients,
  Elsewhere,
  GroupClocks,
  groupName,
  type JobConfig,
  LaneMetrics
} from "@headrace/engine"
import { kafkaClients } from "@headrace/kafka"
import { Effect, Fiber } from "effect"
import { digest, toPlan } from "headrace"
import runLane from "../../workers/lane.ts"
import together, { Tick } from "../fixtures/aligned.ts"
import apart from "../fixtures/aligned-apart.ts"
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
  await createTopic(world.servers, "ticks.apart", LANES)
})

afterAll(() => world?.stop())

interface Processes {
  readonly pipeline: typeof together
  readonly topic: string
  readonly module: string
  /** How many lanes each process has. */
  readonly lanes: readonly number[]
}

type Lanes = readonly LaneMetrics[]

/** The lanes of a process, with the memory that they share, and its look at what others have come to. */
const startProcess = (job: JobConfig, { pipeline, topic }: Processes) => {
  const plan = toPlan(pipeline)
  const partitions = alignedPartitions(plan, new Map([[topic, LANES]]))
  const clocks = GroupClocks.bufferOf(partitions, job.lanes)
  const elsewhere = Effect.gen(function* () {
    const { latest: marks, ends } = yield* Effect.flatMap(Clients, ({ offsets }) => offsets(groupName(job)))
    const held = () => lanes.some(({ metrics }) => metrics.get("heldBack") > 0)
    return yield* new Elsewhere({ partitions, clocks, marks, ends, held }, Date.now()).run
  })
  const lanes = Array.from({ length: job.lanes }, (_, index) => {
    const metrics = new LaneMetrics()
    const { port1: control, port2 } = new MessageChannel()
    const task = {
      kind: "lane",
      job,
      index,
      metrics: metrics.buffer,
      control: port2,
      digest: digest(plan),
      clocks
    } as const
    return { metrics, control, ended: runLane(task) }
  })
  const looking = Effect.runFork(Effect.scoped(Effect.provide(elsewhere, kafkaClients(job.kafka))))
  return { lanes, end: () => Effect.runPromise(Fiber.interrupt(looking)) }
}

/** Runs all lanes for as long as a script takes, which waits for what their figures say; then stops them. */
const runLanes = async (
  all: Processes,
  script: (until: (done: (lanes: Lanes) => boolean) => Promise<void>) => Promise<void>
) => {
  const processes = all.lanes.map((lanes, i) => {
    const module = join(import.meta.dir, "../fixtures", all.module)
    return startProcess({ ...world.job(all.topic), instance: `p${i}`, lanes, module }, all)
  })
  const lanes = processes.flatMap(one => one.lanes)
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
  for (const { end } of processes) await end()
}

const sum = (lanes: Lanes, name: "heldBack" | "recordsIn" | "lag") =>
  lanes.reduce((all, metrics) => all + metrics.get(name), 0)

const haveOneEach = (lanes: Lanes) => lanes.every(metrics => metrics.get("partitions") === 1)
const isHeld = (lanes: Lanes) => sum(lanes, "heldBack") === 1

const ticks = (partition: number, from: number, to: number, at: (i: number) => number) =>
  Array.from({ length: to - from }, (_, i) => ({
    key: "",
    partition,
    id: (from + i) * LANES + partition,
    at: at(from + i)
  }))

test.each([
  ["another lane", { pipeline: together, topic: "ticks", module: "aligned.ts", lanes: [2] }],
  ["another process", { pipeline: apart, topic: "ticks.apart", module: "aligned-apart.ts", lanes: [1, 1] }]
] as const)(
  "a partition that is ahead waits for one in %s, over a restart, and each record comes out once",
  async (_, processes) => {
    const { topic } = processes
    const seconds = (i: number) => i * 1000
    const sendTo = (...args: Parameters<typeof ticks>) => send(world.servers, topic, Tick, ticks(...args))
    await runLanes(processes, async until => {
      await until(haveOneEach)
      await sendTo(0, 0, 5, seconds)
      await sendTo(1, 0, AHEAD, seconds)
      await until(lanes => isHeld(lanes) && lanes.every(metrics => metrics.get("recordsIn") > 0))
    })
    const early = await receive(world.servers, `${topic}.seen`, Tick)
    expect(early.length).toBeLessThan(SOME_POLLS)

    // The one behind ends beyond the other: that one is waited for now, and does not have to wait.
    const behind = (2 * AHEAD) / 10 + 20
    await runLanes(processes, async until => {
      await until(haveOneEach)
      await sendTo(1, AHEAD, 2 * AHEAD, seconds)
      await until(isHeld)
      await sendTo(0, 5, behind, i => i * 10_000)
      // What a rebalance aborts comes in twice.
      const all = 2 * AHEAD + behind - early.length
      await until(lanes => sum(lanes, "recordsIn") >= all && sum(lanes, "lag") === 0)
    })
    const seen = await receive(world.servers, `${topic}.seen`, Tick)
    const ids = seen.map(({ value }) => Number(value.id)).toSorted((a, b) => a - b)
    const sent = [...ticks(0, 0, behind, Number), ...ticks(1, 0, 2 * AHEAD, Number)].map(({ id }) => id)
    expect(ids).toEqual(sent.toSorted((a, b) => a - b))
  }
)
