import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { cached, cacheRoot, type Log, silent } from "./cache.ts"
import { classArchive, type JavaCommand, lightJvm } from "./java.ts"
import { fetchArchive } from "./maven.ts"
import { freePorts, makeScratch, type ProgramSpec, retryPorts, startServer } from "./process.ts"
import { findJava, run } from "./tools.ts"

/** The newest line of Apicurio that runs on Java 17. */
const registryVersion = "3.0.9"

export interface RegistryOptions {
  /** A free one. */
  readonly port?: number
  readonly log?: Log
}

/** A running schema registry. Its schemas are in memory: they are gone when it stops. */
export interface Registry {
  /** Base URL of Confluent's API: `http://127.0.0.1:PORT/apis/ccompat/v7`. */
  readonly url: string
  /** 0 for a registry that was running before (HEADRACE_REGISTRY). */
  readonly pid: number
  stop(): Promise<void>
  /** From now on it outlives this process. */
  keep(): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>
}

/**
 * Starts Apicurio with Confluent's API on a free port, global compatibility BACKWARD, and waits until it serves. It ends
 * when this process does, however that ends. With `HEADRACE_REGISTRY=url` in the environment that running one is given
 * back, untouched. Throws MissingTool, or StartFailed with the end of its log.
 */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const running = process.env.HEADRACE_REGISTRY
  if (running) return runningRegistry(running)
  const installed = await ensureRegistry(options.log)
  return retryPorts(() => launch(installed, options))
}

async function runningRegistry(given: string): Promise<Registry> {
  const url = given.replace(/\/+$/, "")
  if (!(await answers(url))) {
    throw new Error(
      `HEADRACE_REGISTRY=${given}: no schema registry answers there. Start it, or unset HEADRACE_REGISTRY`
    )
  }
  const refuse = () => Promise.reject(new Error(`The registry of HEADRACE_REGISTRY=${given} is not ours to stop`))
  return { url, pid: 0, stop: async () => {}, keep: async () => {}, kill: refuse, restart: refuse }
}

export interface InstalledRegistry {
  readonly java: string
  readonly archive: string
  readonly command: JavaCommand
}

/** Fetches Apicurio and makes its class archive, where the cache lacks them. */
export async function ensureRegistry(log: Log = silent): Promise<InstalledRegistry> {
  const home = join(cacheRoot(), `apicurio-${registryVersion}`)
  const java = await findJava("the schema registry")
  const lib = join(home, "lib")
  if (!existsSync(lib)) log(`fetching Apicurio ${registryVersion} by Maven`)
  await cached(lib, download)
  const command = commandOf(home, join(lib, `apicurio-registry-app-${registryVersion}-runner.jar`))
  return { java: java.path, command, archive: await classArchive(command, log) }
}

async function download(directory: string): Promise<void> {
  mkdirSync(directory)
  const artifact = { group: "io.apicurio", name: "apicurio-registry-app", version: registryVersion }
  await fetchArchive(directory, { ...artifact, type: "tar.gz", classifier: "all" }, "the schema registry")
  const archive = readdirSync(directory).find(name => name.endsWith(".tar.gz"))
  if (!archive) throw new Error(`Maven fetched no archive of ${artifact.name} ${registryVersion}`)
  await run("tar", ["xzf", archive], { reason: "unpacking the schema registry", cwd: directory })
  rmSync(join(directory, archive))
}

function commandOf(home: string, jar: string): JavaCommand {
  return {
    name: "the schema registry",
    home,
    args: ([port]) => ["-Xmx256m", ...serverArgs(jar, port!)],
    ready: ([port]) => answers(urlOf(port!))
  }
}

function serverArgs(jar: string, port: number): string[] {
  const settings = ["quarkus.http.host=127.0.0.1", `quarkus.http.port=${port}`, "quarkus.log.level=WARN"]
  return [...settings.map(setting => `-D${setting}`), "-jar", jar]
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}/apis/ccompat/v7`
}

async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/subjects`, { signal: AbortSignal.timeout(5000) }).then(
    async response => {
      await response.arrayBuffer()
      return response.ok
    },
    () => false
  )
}

async function launch(installed: InstalledRegistry, options: RegistryOptions): Promise<Registry> {
  const port = options.port ?? (await freePorts(1))[0]!
  const scratch = makeScratch("registry")
  const { java, archive, command } = installed
  const jvm = [...lightJvm, `-XX:SharedArchiveFile=${archive}`, "-Xlog:disable", "-Xlog:all=error:stderr"]
  const spec: ProgramSpec = {
    name: "The schema registry",
    command: [java, ...jvm, ...command.args([port], scratch)],
    logFile: join(scratch, "server.log"),
    scratch
  }
  const url = urlOf(port)
  // Confluent's registry starts with BACKWARD; Apicurio starts with NONE.
  const ready = async () => (await answers(url)) && (await requireBackward(url))
  return Object.assign(await startServer(spec, ready), { url })
}

async function requireBackward(url: string): Promise<true> {
  const response = await fetch(`${url}/config`, {
    method: "PUT",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ compatibility: "BACKWARD" })
  })
  const body = await response.text()
  if (!response.ok) throw new Error(`The schema registry refused its compatibility: ${response.status} ${body}`)
  return true
}
