import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { ClickHouseClient, ClickHouseClientConfigOptions as ClientOptions } from "@clickhouse/client"
import { type Log, silent } from "./cache.ts"
import { compiled, freePorts, makeScratch, type ProgramSpec, retryPorts, startServer } from "./process.ts"

export interface ClickHouseOptions {
  /** Keeps the data in this directory instead of one that goes with the server. One process at a time may use it. */
  readonly dataDir?: string
  /** The HTTP port; a free one. */
  readonly port?: number
  /** The server's memory limit; 2 GB. */
  readonly memoryMb?: number
  /** Query settings that hold unless a query has its own: `{ max_threads: "1" }`. */
  readonly settings?: Readonly<Record<string, string>>
  readonly log?: Log
}

/** A ClickHouse server: HTTP, user "default", no password. */
export interface ClickHouse {
  /** `http://127.0.0.1:PORT`, as `url` of `@clickhouse/client`. */
  readonly url: string
  /** Tables and server.log; empty for a server that was running before (HEADRACE_CLICKHOUSE). */
  readonly dataDir: string
  readonly pid: number
  /** Ends it (what it acknowledged is on disk); the data goes too, unless `dataDir` was given. */
  stop(): Promise<void>
  /** From now on it outlives this process. */
  keep(): Promise<void>
  /** `kill -9`; the data stays for `restart`. */
  kill(): Promise<void>
  /** Starts it again on the same port with the same data, ended before if it still runs. */
  restart(): Promise<void>
}

/**
 * Starts ClickHouse over HTTP: the engine of npm's chdb, in a process of its own that ends when this one does. Waits
 * until it answers. With `HEADRACE_CLICKHOUSE=url` in the environment that running server is given back. Throws
 * MissingTool when there is no C compiler for its launcher, StartFailed with the end of its log.
 */
export async function startClickHouse(options: ClickHouseOptions = {}): Promise<ClickHouse> {
  const running = process.env.HEADRACE_CLICKHOUSE
  if (running) return runningClickHouse(running)
  const installed = await ensureClickHouse(options.log)
  return retryPorts(() => launch(installed, options))
}

async function runningClickHouse(given: string): Promise<ClickHouse> {
  const url = given.replace(/\/+$/, "")
  if (!(await answers(url))) {
    throw new Error(`HEADRACE_CLICKHOUSE=${given}: no ClickHouse answers there. Start it, or unset HEADRACE_CLICKHOUSE`)
  }
  const refuse = () => Promise.reject(new Error(`The server of HEADRACE_CLICKHOUSE=${given} is not ours to stop`))
  return { url, dataDir: "", pid: 0, stop: async () => {}, keep: async () => {}, kill: refuse, restart: refuse }
}

export interface InstalledClickHouse {
  readonly launcher: string
  /** libchdb.so, which holds the whole engine. */
  readonly library: string
}

/** Compiles the launcher, where the cache lacks it, and finds chdb's library in node_modules. */
export async function ensureClickHouse(log: Log = silent): Promise<InstalledClickHouse> {
  const { tryResolveLibchdb } = await import("chdb/libchdb")
  const library = tryResolveLibchdb()?.path
  if (!library)
    throw new Error("ClickHouse: chdb's library is not in node_modules. Install it: npm ci --include=optional")
  const launcher = await compiled("chdb", () => log("compiling the launcher of ClickHouse"))
  return { launcher, library }
}

async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/?query=SELECT%201`, { signal: AbortSignal.timeout(5000) }).then(
    async response => (await response.text()).trim() === "1",
    () => false
  )
}

/** It reads its standard input until that ends, and serves meanwhile. */
const serve = "SYSTEM START LISTEN HTTP; SELECT count() FROM file('-', LineAsString) FORMAT Null"

function commandLine(installed: InstalledClickHouse, port: number, dataDir: string, options: ClickHouseOptions) {
  const configFile = join(dataDir, "server.xml")
  writeFileSync(configFile, configOf(options.memoryMb ?? 2048))
  const flags = Object.entries({ ...options.settings }).map(([name, value]) => `--${name}=${value}`)
  const where = [
    `--path=${join(dataDir, "data")}`,
    "--listen_host=127.0.0.1",
    `--http_port=${port}`,
    `--config-file=${configFile}`
  ]
  return [installed.launcher, installed.library, ...where, ...flags, "--query", serve]
}

/** Server settings are read from a file only. The defaults are made for a machine that belongs to ClickHouse alone. */
function configOf(memoryMb: number): string {
  const settings = {
    max_server_memory_usage: memoryMb * 1024 * 1024,
    mark_cache_size: 64 * 1024 * 1024,
    primary_index_cache_size: 64 * 1024 * 1024,
    max_thread_pool_size: 1000,
    asynchronous_metrics_update_period_s: 60,
    // One merge at a time: by default several take all processors from everybody else for seconds.
    background_pool_size: 1,
    background_merges_mutations_concurrency_ratio: 1,
    // And not at full speed: a large merge would hold a processor for two seconds in a row.
    max_merges_bandwidth_for_server: 12 * 1024 * 1024
  }
  // Free places in that pool that merges and mutations wait for: there never are more.
  const mergeTree = {
    number_of_free_entries_in_pool_to_lower_max_size_of_merge: 1,
    number_of_free_entries_in_pool_to_execute_mutation: 1,
    number_of_free_entries_in_pool_to_execute_optimize_entire_partition: 1
  }
  return `<clickhouse>\n${xml(settings)}\n  <merge_tree>\n${xml(mergeTree)}\n  </merge_tree>\n</clickhouse>\n`
}

function xml(settings: Readonly<Record<string, number>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `  <${name}>${value}</${name}>`)
    .join("\n")
}

async function launch(installed: InstalledClickHouse, options: ClickHouseOptions): Promise<ClickHouse> {
  const port = options.port ?? (await freePorts(1))[0]!
  const dataDir = options.dataDir ?? makeScratch("clickhouse")
  mkdirSync(dataDir, { recursive: true })
  const spec: ProgramSpec = {
    name: "ClickHouse",
    command: commandLine(installed, port, dataDir, options),
    logFile: join(dataDir, "server.log"),
    scratch: options.dataDir ? undefined : dataDir
  }
  const url = `http://127.0.0.1:${port}`
  return Object.assign(await startServer(spec, () => answers(url)), { url, dataDir })
}

/**
 * ClickHouse inside of this process, behind the same client as a server: its tables live in `dataDir`, which one
 * process at a time may use. `client.close()` shuts it down. Works in Bun and in
 * Node alike. Results are held in memory whole, not streamed.
 */
export async function embeddedClickHouse(dataDir: string): Promise<ClickHouseClient> {
  const [{ createClient }, { createChdbConnection }] = await Promise.all([
    import("@clickhouse/client"),
    import("chdb/connection")
  ])
  // The same interface from two packages, which differ in how exactly they spell optional properties.
  const connection = createChdbConnection({ path: dataDir }) as unknown as NonNullable<ClientOptions["connection"]>
  return createClient({ connection })
}
