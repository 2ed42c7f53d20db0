import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Consumer } from "@headrace/kafka"
import { TOPICS } from "../src/scenarios/payments/topics.ts"
import type { Bench, Job } from "./bench.ts"
import { cpuSecondsOf, type Measured } from "./figures.ts"
import { type Running, startRun } from "./process.ts"

const POLL_MS = 50
const CALL_MS = 10_000
/** Without any progress for so long, a job is stuck. */
const STUCK_MS = 60_000

/**
 * A pipeline over the whole topic, exactly once, by `headrace run` in a process of its own. Its progress is what its
 * group has committed, asked from outside; it is measured from its first commit to the one that holds the last event.
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
    const first = await progress(bench, group, running, 1)
    const last = await progress(bench, group, running, bench.events)
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

/** Waits until at least so many events are committed. */
const progress = async (bench: Bench, group: Consumer, { child, said }: Running, wanted: number) => {
  let committed = 0
  let movedAt = performance.now()
  for (;;) {
    const now = await committedOf(bench, group)
    if (now > committed) movedAt = performance.now()
    committed = now
    if (committed >= wanted) break
    if (child.exitCode !== null || performance.now() - movedAt > STUCK_MS) throw stuck(said(), committed, wanted)
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
  const ownCpu = cpuSecondsOf(child.pid ?? 0)
  return { committed, at: performance.now(), ownCpu, brokerCpu: cpuSecondsOf(bench.brokerPid) }
}

const committedOf = async ({ partitions }: Bench, group: Consumer): Promise<number> => {
  const places = Array.from({ length: partitions }, (_, partition) => ({ topic: TOPICS.events, partition }))
  const found = await group.committed(places, CALL_MS)
  return found.reduce((sum, { offset }) => sum + Math.max(0, offset), 0)
}

const stuck = (said: string, committed: number, wanted: number): Error =>
  new Error(`the pipeline stopped at ${committed} of ${wanted} events:\n${said}`)
