import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Consumer, KafkaError } from "@headrace/kafka"
import { endsOf } from "../src/measure/reading.ts"
import { TOPICS } from "../src/scenarios/payments/topics.ts"
import type { Bench, Job } from "./bench.ts"
import { cpuSecondsOf, type Measured } from "./figures.ts"
import { type Running, startRun } from "./process.ts"

const POLL_MS = 50
const CALL_MS = 10_000
/** Part of each partition that is not measured. */
const WARM_UP = 0.1
/** Without any progress for so long, a job is stuck. */
const STUCK_MS = 60_000

/**
 * A pipeline over the whole topic, exactly once, by `headrace run` in a process of its own. Its progress is what its
 * group has committed, asked from outside. It is measured while all of it is at work: from when a tenth of every partition
 * is done (before that the group is still forming, one lane may have them all, and code is being compiled) until the first
 * one has nothing left.
 */
export const laneJob = (name: string, module: string): Job => ({
  name,
  run: async (bench, lanes, round) => {
    const app = `${name.replaceAll(/[^a-z]+/g, "-")}-${lanes}-${round}`
    const directory = mkdtempSync(join(tmpdir(), "headrace-bench-"))
    const running = await startRun(module, join(directory, "log"), {
      kafka: bench.bootstrap,
      registry: bench.registry,
      app,
      lanes: String(lanes),
      checkpoints: join(directory, "checkpoints")
    })
    try {
      return await follow(bench, app, running)
    } finally {
      await running.end()
      rmSync(directory, { recursive: true, force: true })
    }
  }
})

const follow = async (bench: Bench, app: string, running: Running): Promise<Measured> => {
  const group = Consumer.open({ "bootstrap.servers": bench.bootstrap, "group.id": app })
  try {
    const ends = await endsOf(group, [TOPICS.events], bench.partitions)
    const first = await progress(bench, group, running, offsets =>
      ends.every(({ partition, offset }) => offsets[partition]! >= offset * WARM_UP)
    )
    const last = await progress(bench, group, running, offsets =>
      ends.some(({ partition, offset }) => offsets[partition]! >= offset)
    )
    return {
      events: last.committed - first.committed,
      seconds: (last.at - first.at) / 1000,
      ownCpu: last.ownCpu - first.ownCpu,
      brokerCpu: last.brokerCpu - first.brokerCpu
    }
  } finally {
    await group.close()
  }
}

/** Waits until what is committed of each partition is so. */
const progress = async (
  bench: Bench,
  group: Consumer,
  { child, said }: Running,
  reached: (offsets: readonly number[]) => boolean
) => {
  let committed = 0
  let movedAt = performance.now()
  for (;;) {
    const offsets = await committedOf(bench, group)
    const now = offsets.reduce((sum, offset) => sum + offset, 0)
    if (now > committed) movedAt = performance.now()
    committed = now
    if (reached(offsets)) break
    if (child.exitCode !== null || performance.now() - movedAt > STUCK_MS) throw stuck(said(), committed, bench.events)
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
  const ownCpu = cpuSecondsOf(child.pid ?? 0)
  return { committed, at: performance.now(), ownCpu, brokerCpu: cpuSecondsOf(bench.brokerPid) }
}

/** By partition; 0 where nothing is, or while the group's coordinator is on its way. */
const committedOf = async ({ partitions }: Bench, group: Consumer): Promise<readonly number[]> => {
  const places = Array.from({ length: partitions }, (_, partition) => ({ topic: TOPICS.events, partition }))
  try {
    return (await group.committed(places, CALL_MS)).map(({ offset }) => Math.max(0, offset))
  } catch (error) {
    if (error instanceof KafkaError && error.reason === "BrokerGone") return places.map(() => 0)
    throw error
  }
}

const stuck = (said: string, committed: number, events: number): Error =>
  new Error(`the pipeline stopped at ${committed} of ${events} events:\n${said}`)
