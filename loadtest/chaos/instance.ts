import { closeSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { SEPARATOR } from "@headrace/engine"
import { type Subprocess, sleep, spawn } from "bun"
import { APP } from "./job/movement.ts"

export interface InstanceOptions {
  readonly name: string
  /** The program: the binary, or Bun and its main file. */
  readonly program: readonly string[]
  readonly job: string
  readonly kafka: string
  readonly registry: string
  readonly clickhouse: string
  readonly checkpoints: string
  /** Where its log goes; it is appended to at each start. */
  readonly directory: string
  /** More flags of `headrace run`. */
  readonly flags: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Told of each process at once. */
  readonly started?: (pid: number) => void
}

const STOP_MS = 20_000
const LOOK_EVERY_MS = 5

/** One `headrace run`, killed and started again under the same name. It ends with this process, also when that is killed. */
export class Instance {
  private child: Subprocess<"pipe", number, number> | undefined
  /** Somebody wanted it to end. */
  private wanted = false

  constructor(options: InstanceOptions) {
    this.options = options
  }
  private readonly options: InstanceOptions

  get name(): string {
    return this.options.name
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** It gave up by itself. */
  get gaveUp(): boolean {
    return this.child !== undefined && !this.running && !this.wanted
  }

  /** Client ids of its lanes and their producers begin like this, and those of its tables; its other clients have just the name. */
  isClient(client: string): boolean {
    return (
      [`${APP}${SEPARATOR}${this.name}${SEPARATOR}`, `${APP}-${this.name}-`].some(start => client.startsWith(start)) ||
      client === this.name
    )
  }

  /** Client ids of its lanes begin like this. */
  isLane(client: string): boolean {
    return client.startsWith(`${APP}${SEPARATOR}${this.name}${SEPARATOR}`)
  }

  start(): void {
    this.wanted = false
    this.child = this.spawn([])
  }

  /**
   * Another process takes the place of the running one. Ends when that has been asked to stop; what it answers with, when
   * that is gone, with its exit code.
   */
  async replace(signal: AbortSignal): Promise<{ readonly gone: Promise<number> }> {
    const { child: before, log, url } = this
    if (before === undefined || url === undefined) throw new Error(`${this.name} has not said where it listens`)
    const successor = this.spawn(["--takeover", url])
    const said = () => this.log.slice(log.length)
    while (!said().includes(`takes over from ${url}`)) {
      if (signal.aborted || successor.exitCode !== null) {
        successor.kill("SIGKILL")
        throw new Error(`${this.name} was not replaced:\n${said()}`)
      }
      await sleep(LOOK_EVERY_MS)
    }
    this.child = successor
    return { gone: before.exited }
  }

  private spawn(more: readonly string[]): Subprocess<"pipe", number, number> {
    const { name, program, job, kafka, registry, clickhouse, checkpoints, flags, env } = this.options
    const where = ["--kafka", kafka, "--registry", registry, "--clickhouse", clickhouse, "--checkpoints", checkpoints]
    // What has no name of its own in the engine is known to the proxies by the instance's.
    const how = ["--instance", name, "--kafka-setting", `client.id=${name}`, "--port", "0"]
    const log = openSync(this.logFile, "a")
    const child = spawn([...program, "run", job, "--stop-with-stdin", ...where, ...how, ...flags, ...more], {
      stdin: "pipe",
      stdout: log,
      stderr: log,
      // Ctrl-C is for the driver alone.
      detached: true,
      env: { ...environment(), ...env }
    })
    closeSync(log)
    this.options.started?.(child.pid)
    children.add(child)
    void child.exited.then(() => children.delete(child))
    return child
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.wanted = true
    this.child?.kill("SIGKILL")
    await this.child?.exited
  }

  /** A clean stop; answers with the exit code. */
  async stop(): Promise<number> {
    this.wanted = true
    if (this.child === undefined) return 0
    this.child.kill("SIGTERM")
    const timer = setTimeout(() => this.child?.kill("SIGKILL"), STOP_MS)
    const code = await this.child.exited
    clearTimeout(timer)
    return code
  }

  freeze(): void {
    this.child?.kill("SIGSTOP")
  }

  thaw(): void {
    this.child?.kill("SIGCONT")
  }

  get log(): string {
    return readFileSync(this.logFile, "utf8")
  }

  /** Where the newest of its processes that has said so listens. */
  private get url(): string | undefined {
    return [...this.log.matchAll(/health and metrics at (http:\/\/[\d.]+:\d+)/g)].at(-1)?.[1]
  }

  /** The sum of these gauges over its lanes; undefined for one that does not listen, or does not know. */
  async gauges<Name extends string>(names: readonly Name[]): Promise<Readonly<Record<Name, number>> | undefined> {
    const { url } = this
    if (url === undefined) return undefined
    const text = await fetch(`${url}/metrics`).then(
      answer => answer.text(),
      () => ""
    )
    const found = names.map(name => [...text.matchAll(new RegExp(`^${name}\\{[^}]*kind="lane"[^}]*\\} (\\S+)$`, "gm"))])
    if (found.some(lines => lines.length === 0)) return undefined
    const sums = found.map((lines, i) => [names[i]!, lines.reduce((sum, [, value]) => sum + Number(value), 0)])
    return Object.fromEntries(sums) as Record<Name, number>
  }

  get logFile(): string {
    return join(this.options.directory, `${this.name}.log`)
  }
}

/** A frozen process would not notice that its driver has ended. */
const children = new Set<{ readonly kill: (signal: "SIGKILL") => void }>()
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})

/** Variables that choose servers would be settings of the child. */
const environment = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HEADRACE_")))
