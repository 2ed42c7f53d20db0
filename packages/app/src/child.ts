import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { JobConfig } from "@headrace/engine"
import { VARIABLES } from "./config/origins.ts"
import { selfCommand } from "./place.ts"

export interface ChildOptions extends Pick<JobConfig, "kafka" | "registry" | "lanes" | "replication"> {
  /** A file, or a pipeline's name. */
  readonly pipeline: string
  /** Default: the pipeline's own name. */
  readonly app?: string
  /** Without it no tables are filled. */
  readonly clickhouse?: NonNullable<JobConfig["clickhouse"]>
  /** Default: a directory that goes with the process. */
  readonly checkpoints?: string
}

/** A pipeline that runs in a process of its own, which stops when this one ends, however that happens. */
export interface ChildPipeline {
  readonly pid: number
  /** Its health and metrics. */
  readonly url: string
  readonly ended: () => boolean
  /** The end of its log. */
  readonly said: () => string
  /** Clean stop, by force after 15 s. */
  stop(): Promise<void>
  /** From now on it outlives this process. */
  keep(): Promise<void>
}

/** Runs `headrace run` in a process of its own and waits until all of it runs. Rejects with the end of its log. */
export const childPipeline = async (options: ChildOptions): Promise<ChildPipeline> => {
  const directory = mkdtempSync(join(tmpdir(), "headrace-pipeline-"))
  const clear = () => rmSync(directory, { recursive: true, force: true })
  // An interrupt does not wait for a start that is under way.
  process.once("exit", clear)
  const log = join(directory, "pipeline.log")
  const child = start(runArguments(options, directory), secretsOf(options, directory), log)
  const stop = async () => {
    await end(child)
    process.off("exit", clear)
    clear()
  }
  const url = await ready(child, log).catch(async error => {
    await stop()
    throw error
  })
  const keep = () => {
    process.off("exit", clear)
    return new Promise<void>(resolve => child.stdin?.end("keep\n", resolve))
  }
  const ended = () => child.exitCode !== null || child.signalCode !== null
  return { pid: child.pid ?? 0, url, ended, said: () => tail(log), stop, keep }
}

const runArguments = (options: ChildOptions, directory: string): string[] => [
  ...["run", options.pipeline, "--stop-with-stdin", "--scratch", directory],
  ...(options.app === undefined ? [] : ["--app", options.app]),
  ...["--kafka", options.kafka.bootstrap, "--registry", options.registry.url],
  ...tables(options.clickhouse),
  ...["--lanes", String(options.lanes), "--replication", String(options.replication), "--port", "0"],
  ...["--checkpoints", options.checkpoints ?? join(directory, "checkpoints")]
]

const tables = (clickhouse: ChildOptions["clickhouse"]): string[] => {
  if (clickhouse === undefined) return ["--sinks", "none"]
  const { url, database, username } = clickhouse
  return [
    "--clickhouse",
    url,
    "--database",
    database,
    ...(username === undefined ? [] : ["--clickhouse-user", username])
  ]
}

/** What must not stand in the process's arguments. The directory is ours alone to read. */
const secretsOf = ({ kafka, registry, clickhouse }: ChildOptions, directory: string): Record<string, string> => {
  const config = join(directory, "kafka.properties")
  const lines = Object.entries(kafka.settings).map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
  writeFileSync(config, lines.join(""), { mode: 0o600 })
  return {
    HEADRACE_KAFKA_CONFIG: config,
    ...(registry.auth === undefined ? {} : { HEADRACE_REGISTRY_AUTH: registry.auth }),
    ...(clickhouse?.password === undefined ? {} : { HEADRACE_CLICKHOUSE_PASSWORD: clickhouse.password })
  }
}

/** A process group of its own: Ctrl-C reaches the demo, which then stops its parts in order. */
const start = (args: string[], secrets: Record<string, string>, log: string): ChildProcess => {
  const [command, ...rest] = selfCommand(args)
  const output = openSync(log, "w")
  const env = { ...withoutSettings(process.env), ...secrets }
  const child = spawn(command, rest, { stdio: ["pipe", output, output], detached: true, env })
  closeSync(output)
  // The pipe breaks when the pipeline dies first; its end is seen by "exit".
  child.stdin?.on("error", () => {})
  child.unref()
  return child
}

/** Variables that are settings of this process are not meant for the child. */
const withoutSettings = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !VARIABLES.has(name)))

const POLL_MS = 20
const START_WITHIN_MS = 120_000

/** Until all of it runs; answers with where it listens, as it says itself: a port that was free before may be taken by then. */
const ready = async (child: ChildProcess, log: string): Promise<string> => {
  const deadline = performance.now() + START_WITHIN_MS
  for (;;) {
    const url = /health and metrics at (\S+?),/.exec(readFileSync(log, "utf8"))?.[1]
    if (url !== undefined && (await isReady(url))) return url
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the pipeline ended while it started:\n${tail(log)}`)
    if (performance.now() > deadline)
      throw new Error(`the pipeline did not run within ${START_WITHIN_MS / 1000} s:\n${tail(log)}`)
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
