import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { freePorts } from "@headrace/dev"
import { Consumer } from "@headrace/kafka"
import { TOPICS } from "../src/scenarios/payments/topics.ts"
import type { Bench, Job } from "./bench.ts"
import { cpuSecondsOf, type Measured } from "./figures.ts"

const MAIN = fileURLToPath(new URL("../../packages/app/src/main.ts", import.meta.url))
const POLL_MS = 50
const CALL_MS = 10_000
/** Without any progress for so long, a job is stuck. */
const STUCK_MS = 60_000
const STOP_MS = 15_000

/**
 * A pipeline over the whole topic, exactly once, by `headrace run` in a process of its own. Its progress is what its
 * group has committed, asked from outside; it is measured from its first commit to the one that holds the last event.
 */
export const laneJob = (name: string, module: string): Job => ({
  name,
  run: async (bench, lanes, round) => {
    const app = `${name.replaceAll(/[^a-z]+/g, "-")}-${lanes}-${round}`
    const directory = mkdtempSync(join(tmpdir(), "headrace-bench-"))
    const log = join(directory, "log")
    const child = await start(bench, module, lanes, app, directory, log)
    try {
      return await follow(bench, app, child, log)
    } finally {
      await end(child)
      rmSync(directory, { recursive: true, force: true })
    }
  }
})

const start = async (bench: Bench, module: string, lanes: number, app: string, directory: string, log: string) => {
  const [port] = await freePorts(1)
  const flags = {
    kafka: bench.bootstrap,
    registry: bench.registry,
    app,
    instance: "bench",
    lanes: String(lanes),
    port: String(port),
    sinks: "none",
    checkpoints: join(directory, "checkpoints")
  }
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])
  const path = fileURLToPath(new URL(module, import.meta.url))
  const output = openSync(log, "w")
  return spawn(process.execPath, [MAIN, "run", path, ...args, "--stop-with-stdin"], { stdio: ["pipe", output, output] })
}

const follow = async (bench: Bench, app: string, child: ChildProcess, log: string): Promise<Measured> => {
  const group = Consumer.open({ "bootstrap.servers": bench.bootstrap, "group.id": app })
  try {
    const first = await progress(bench, group, child, log, 1)
    const last = await progress(bench, group, child, log, bench.events)
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
const progress = async (bench: Bench, group: Consumer, child: ChildProcess, log: string, wanted: number) => {
  let committed = 0
  let movedAt = performance.now()
  for (;;) {
    const now = await committedOf(bench, group)
    if (now > committed) movedAt = performance.now()
    committed = now
    if (committed >= wanted) break
    if (child.exitCode !== null || performance.now() - movedAt > STUCK_MS) throw stuck(log, committed, wanted)
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

const stuck = (log: string, committed: number, wanted: number): Error => {
  const tail = readFileSync(log, "utf8").trimEnd().split("\n").slice(-20).join("\n")
  return new Error(`the pipeline stopped at ${committed} of ${wanted} events:\n${tail}`)
}

const end = (child: ChildProcess): Promise<void> =>
  new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const force = setTimeout(() => child.kill("SIGKILL"), STOP_MS)
    child.once("exit", () => {
      clearTimeout(force)
      resolve()
    })
    child.stdin?.end()
    child.kill("SIGTERM")
  })
