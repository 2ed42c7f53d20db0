import { fileURLToPath } from "node:url"
import { type Subprocess, spawn } from "bun"

/** What a test waits for comes far sooner; so long only where it does not come at all. Below a test's own time-out. */
const PATIENCE_MS = 180_000

const main = fileURLToPath(new URL("../../packages/app/src/main.ts", import.meta.url))

export interface Clusters {
  readonly kafka: string
  readonly registry: string
  readonly clickhouse?: string
}

export interface RunOptions {
  readonly clusters: Clusters
  /** Directory of checkpoints: the same after a restart. */
  readonly checkpoints: string
  /** Default: test. */
  readonly instance?: string
  /** More flags of `headrace run`: `["--lanes", "2"]`. */
  readonly flags?: readonly string[]
}

/** A `headrace run` in a process of its own. It ends with this process, also when that is killed. */
export class Headrace {
  /** When it was started, as `performance.now()`. */
  readonly startedAt = performance.now()
  /** Everything that it wrote to stderr and stdout so far. */
  log = ""
  private readonly child: Subprocess<"pipe", "pipe", "pipe">
  private readonly drained: Promise<unknown>
  /** Somebody here ends it: that it does not answer is no failure. */
  private ending = false

  constructor(pipeline: string, { clusters, checkpoints, instance = "test", flags = [] }: RunOptions) {
    const { kafka, registry, clickhouse } = clusters
    const where = ["--kafka", kafka, "--registry", registry, "--checkpoints", checkpoints, "--instance", instance]
    const tables = clickhouse === undefined ? [] : ["--clickhouse", clickhouse]
    const port = flags.includes("--port") ? [] : ["--port", "0"]
    this.child = spawn(
      [process.execPath, main, "run", pipeline, "--stop-with-stdin", ...where, ...tables, ...port, ...flags],
      { stdin: "pipe", stdout: "pipe", stderr: "pipe", env: environment() }
    )
    this.drained = Promise.all([this.follow(this.child.stderr), this.follow(this.child.stdout)])
  }

  get pid(): number {
    return this.child.pid
  }
  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** The first match of `pattern` in the log; fails with the log when the process ends or time runs out before. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const ready = () => pattern.test(this.log) || !this.running
    await poll(ready, () => `${pattern} in\n${this.log}`)
    const found = pattern.exec(this.log)
    if (found === null) throw new Error(`It ended without ${pattern}:\n${this.log}`)
    return found
  }

  /** Waits until `pattern` was logged this many times more than up to now. */
  async repeats(pattern: RegExp, times: number): Promise<void> {
    const from = this.log.length
    const count = () => this.log.slice(from).match(new RegExp(pattern, "g"))?.length ?? 0
    await poll(
      () => count() >= times || !this.running,
      () => `${times} × ${pattern} in\n${this.log}`
    )
    if (!this.running) throw new Error(`It ended without ${times} × ${pattern}:\n${this.log}`)
  }

  /** Where it serves health and metrics; undefined before it does. */
  get url(): string | undefined {
    return /health and metrics at (\S+?),/.exec(this.log)?.[1]
  }

  /**
   * The sum of a metric over all units whose labels contain `unit`, from /metrics. 0 before it serves, and once it was killed or
   * stopped from here; fails when it does not answer, or has no such metric.
   */
  async metric(name: string, unit = ""): Promise<number> {
    const { url } = this
    if (url === undefined) return 0
    const text = await fetch(`${url}/metrics`).then(
      response => response.text(),
      error => {
        // It may have been ended between two questions.
        if (!this.ending) throw new Error(`${url}/metrics does not answer (${error}):\n${this.log}`)
      }
    )
    if (text === undefined) return 0
    if (!text.includes(`# TYPE ${name} `)) throw new Error(`${url}/metrics has no ${name}`)
    const lines = text.split("\n").filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    return lines.filter(line => line.includes(unit)).reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0)
  }

  /** Waits until a metric of the lanes is at least this. */
  async reaches(name: string, value: number): Promise<void> {
    const reached = async () => (await this.metric(name, 'kind="lane"')) >= value || !this.running
    await poll(reached, () => `${name} ≥ ${value}; log:\n${this.log}`)
    if (!this.running) throw new Error(`It ended before ${name} reached ${value}:\n${this.log}`)
  }

  /** `kill -9`; settles when it has ended. */
  async kill(): Promise<void> {
    this.ending = true
    this.child.kill("SIGKILL")
    await this.ended()
  }

  /** A clean stop; answers with the exit code, and where that is not 0 prints what led to it. */
  async stop(): Promise<number> {
    this.ending = true
    this.child.kill("SIGTERM")
    const code = await this.ended()
    if (code !== 0) console.error(`A stop ended with ${code}:\n${this.log}`)
    return code
  }

  /** The exit code, once it has ended and its output was read; fails with the log when that takes too long. */
  async ended(): Promise<number> {
    await poll(
      () => !this.running,
      () => `an end; log:\n${this.log}`
    )
    await this.drained
    return this.child.exited
  }

  private async follow(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of stream) this.log += decoder.decode(chunk, { stream: true })
  }
}

export interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Any other command of the program, to its end, or until it is killed. */
export const command = (...args: readonly string[]): { readonly ended: Promise<Ended>; readonly kill: () => void } => {
  const child = spawn([process.execPath, main, ...args], { stdout: "pipe", stderr: "pipe", env: environment() })
  const ended = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
  return { ended: ended.then(([out, err, code]) => ({ code, out, err })), kill: () => child.kill("SIGKILL") }
}

export const headrace = (...args: readonly string[]): Promise<Ended> => command(...args).ended

/** Variables that choose servers would be settings of the child. */
const environment = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HEADRACE_")))

/** Asks every 20 ms until the answer is truthy, and gives it back; fails after three minutes, saying what was awaited. */
export const poll = async <A>(ask: () => A | Promise<A>, what: () => string): Promise<A> => {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (performance.now() > deadline) throw new Error(`Not within ${PATIENCE_MS} ms: ${what()}`)
    await Bun.sleep(20)
  }
}
