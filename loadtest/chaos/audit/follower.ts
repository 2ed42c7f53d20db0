import { fileURLToPath } from "node:url"
import { type Subprocess, spawn } from "bun"
import { auditNode } from "../../src/audit/node.ts"
import type { Alerts } from "../../src/measure/alerts.ts"
import type { AlertName } from "../../src/scenarios/payments/due.ts"

export type Kind = "missing" | "duplicated" | "disordered" | "wrong"

/** What follower.mjs found; see there. */
export type Followed = {
  readonly records: number
  readonly counts: Readonly<Record<Kind, number>>
  readonly alerts: Alerts
} & { readonly [kind in Kind]: readonly number[] }

interface Line {
  readonly newest?: readonly number[]
  readonly at?: number
  readonly records?: number
  readonly alerts?: number
  readonly result?: Omit<Followed, "alerts"> & { readonly alerts: readonly (readonly [AlertName, number])[] }
  readonly open?: readonly string[]
  readonly note?: string
}

const SCRIPT = fileURLToPath(new URL("./follower.mjs", import.meta.url))

const pipes = { stdin: "pipe", stdout: "pipe", stderr: "pipe" } as const

export interface FollowerOptions {
  readonly bootstrap: string
  readonly registry: string
  readonly topic: string
  /** The topic of the alerts. */
  readonly alerts: string
  readonly partitions: number
  readonly accounts: number
}

/** The independent client, which follows what is committed from the first record to the last. */
export class Follower {
  records = 0
  alerts = 0
  private newest: readonly number[]
  private readonly say: (line: string) => void
  private readonly child: Subprocess<"pipe", "pipe", "pipe">
  private readonly waits = new Set<{
    readonly beyond: number
    readonly done: (at: number) => void
    readonly since: number[]
  }>()
  private readonly answers: ((line: Line) => void)[] = []
  private failure = ""

  /** `say` gets what is worth knowing of the client itself. */
  constructor(options: FollowerOptions, say: (line: string) => void) {
    this.say = say
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
    this.newest = Array.from({ length: options.partitions }, () => -1)
    this.child = spawn([auditNode(), SCRIPT, ...args], { ...pipes, detached: true })
    void this.read()
    void this.complain()
  }

  /** Throws when the client itself has failed: then nothing can be said. */
  check(): void {
    if (this.failure !== "") throw new Error(this.failure)
  }

  /**
   * When the last of all partitions came to show an event with an id of at least `beyond`, ms since the epoch; undefined
   * when that does not happen within `withinMs`, or before the signal.
   */
  reached(beyond: number, withinMs: number, signal: AbortSignal): Promise<number | undefined> {
    this.check()
    return new Promise(resolve => {
      const end = (at: number | undefined) => {
        clearTimeout(timer)
        this.waits.delete(wait)
        signal.removeEventListener("abort", aborted)
        resolve(at)
      }
      const aborted = () => end(undefined)
      const wait = { beyond, done: end, since: [] }
      const timer = setTimeout(aborted, withinMs)
      signal.addEventListener("abort", aborted)
      this.waits.add(wait)
      this.look(wait, Date.now())
    })
  }

  /** The audit of `sent` events. */
  async result(sent: number): Promise<Followed> {
    const result = (await this.ask(`result ${sent}`)).result!
    return { ...result, alerts: new Map(result.alerts) }
  }

  /** Partitions in which a transaction is open. */
  async open(): Promise<readonly string[]> {
    return (await this.ask("open")).open!
  }

  /** Has the client stop fetching without a word, as it does by itself when it loses an error. */
  halt(): void {
    this.tell("halt")
  }

  async stop(): Promise<void> {
    this.child.kill("SIGKILL")
    await this.child.exited
  }

  private ask(line: string): Promise<Line> {
    this.check()
    return new Promise((resolve, reject) => {
      this.answers.push(answer => (this.failure === "" ? resolve(answer) : reject(new Error(this.failure))))
      this.tell(line)
    })
  }

  private tell(line: string): void {
    this.child.stdin.write(`${line}\n`)
    void this.child.stdin.flush()
  }

  private look(wait: { readonly beyond: number; readonly done: (at: number) => void }, at: number): void {
    if (this.newest.every(id => id >= wait.beyond)) wait.done(at)
  }

  private async read(): Promise<void> {
    let rest = ""
    const decoder = new TextDecoder()
    for await (const chunk of this.child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
      rest = lines.pop()!
      for (const line of lines) this.take(JSON.parse(line) as Line)
    }
  }

  private take(line: Line): void {
    if (line.note !== undefined) return this.say(line.note)
    if (line.newest === undefined) return this.answers.shift()?.(line)
    this.newest = line.newest
    this.records = line.records!
    this.alerts = line.alerts!
    for (const wait of this.waits) this.look(wait, line.at!)
  }

  private async complain(): Promise<void> {
    this.failure = (await this.child.stderr.text()) || `the follower ended with ${await this.child.exited}`
    for (const answer of this.answers.splice(0)) answer({})
  }
}
