import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { selfCommand } from "./place.ts"

export interface ChildOptions {
  readonly module: string
  readonly clusters: {
    readonly kafka: { readonly bootstrap: string }
    readonly registry: { readonly url: string }
    readonly clickhouse: { readonly url: string; readonly database: string }
  }
  readonly lanes: number
  /** It outlives this process; else it stops when this process ends, however that happens. */
  readonly keep: boolean
}

/** A pipeline that runs in a process of its own. */
export interface ChildPipeline {
  readonly pid: number
  /** Its health and metrics. */
  readonly url: string
  /** From its exec until every lane ran. */
  readonly startupMs: number
  /** Clean stop, by force after 15 s. */
  stop(): Promise<void>
}

/** Runs `headrace run` in a process of its own and waits until all of it runs. Rejects with the end of its log. */
export const childPipeline = async (options: ChildOptions): Promise<ChildPipeline> => {
  const directory = mkdtempSync(join(tmpdir(), "headrace-pipeline-"))
  // An interrupt does not wait for a start that is under way.
  const clear = () => rmSync(directory, { recursive: true, force: true })
  if (!options.keep) process.once("exit", clear)
  const log = join(directory, "pipeline.log")
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const begun = performance.now()
  const child = start(runArguments(options, directory, port), log, options.keep)
  const stop = () => end(child).then(clear)
  try {
    await ready(child, url, log)
  } catch (error) {
    await stop()
    throw error
  }
  return { pid: child.pid ?? 0, url, startupMs: performance.now() - begun, stop }
}

const runArguments = ({ module, clusters, lanes, keep }: ChildOptions, directory: string, port: number): string[] => [
  "run",
  module,
  ...["--kafka", clusters.kafka.bootstrap, "--registry", clusters.registry.url],
  ...["--clickhouse", clusters.clickhouse.url, "--database", clusters.clickhouse.database],
  ...["--lanes", String(lanes), "--port", String(port), "--instance", "demo"],
  ...["--checkpoints", join(directory, "checkpoints")],
  ...(keep ? [] : ["--stop-with-stdin"])
]

/** A process group of its own: Ctrl-C reaches the demo, which then stops its parts in order. */
const start = (args: string[], log: string, keep: boolean): ChildProcess => {
  const [command, ...rest] = selfCommand(args)
  const output = openSync(log, "w")
  const child = spawn(command, rest, { stdio: [keep ? "ignore" : "pipe", output, output], detached: true })
  closeSync(output)
  // The pipe breaks when the pipeline dies first; its end is seen by "exit".
  child.stdin?.on("error", () => {})
  child.unref()
  return child
}

const POLL_MS = 20
const START_WITHIN_MS = 60_000

const ready = async (child: ChildProcess, url: string, log: string): Promise<void> => {
  const deadline = performance.now() + START_WITHIN_MS
  while (!(await isReady(url))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the pipeline ended while it started:\n${tail(log)}`)
    if (performance.now() > deadline) throw new Error(`the pipeline did not run within 60 s:\n${tail(log)}`)
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) }).then(
    async response => {
      await response.body?.cancel()
      return response.ok
    },
    () => false
  )

const tail = (log: string): string => readFileSync(log, "utf8").trimEnd().split("\n").slice(-20).join("\n")

const end = (child: ChildProcess): Promise<void> =>
  new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const force = setTimeout(() => child.kill("SIGKILL"), 15_000)
    child.once("exit", () => {
      clearTimeout(force)
      resolve()
    })
    child.kill("SIGTERM")
  })

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
