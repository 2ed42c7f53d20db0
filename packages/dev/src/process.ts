import { type ChildProcess, spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { createServer, type Server as Listener } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { cached, cacheRoot, contentKey } from "./cache.ts"
import { findTool, run, tail } from "./tools.ts"

export interface ProgramSpec {
  /** For messages: "Kafka". */
  readonly name: string
  readonly command: readonly string[]
  /** Where its output goes; overwritten at each start. */
  readonly logFile: string
  /** Removed if our process dies, or once a program ends that was kept. */
  readonly scratch: string | undefined
}

/** A running child process. It dies with this process, even when that is killed by `kill -9`, unless it is kept. */
export interface Program {
  readonly pid: number
  readonly running: boolean
  /** Settles when the process has ended. */
  readonly ended: Promise<void>
  /** SIGTERM, then SIGKILL after 10 s; settles when it has ended. */
  stop(): Promise<void>
  /** From now on it outlives this process, and its scratch directory goes with it. */
  keep(): Promise<void>
  /** SIGKILL; settles when it has ended. */
  kill(): Promise<void>
}

/** Keeps the pipes of living children from being collected, which would close them. */
const living = new Set<ChildProcess>()

/** Starts a program under the guard of `native/launch.c`, in a process group of its own so that Ctrl-C spares it. */
export async function startProgram(spec: ProgramSpec): Promise<Program> {
  const launcher = await compiled("launch")
  const output = openSync(spec.logFile, "w")
  const child = spawn(launcher, [spec.scratch ?? "", ...spec.command], {
    stdio: ["pipe", output, output],
    detached: true
  })
  closeSync(output)
  await new Promise<void>((resolve, reject) => {
    if (child.pid !== undefined) resolve()
    else child.once("error", error => reject(new Error(`${spec.name} could not be started: ${error.message}`)))
  })
  return guarded(child, spec)
}

function guarded(child: ChildProcess, { name, scratch }: ProgramSpec): Program {
  living.add(child)
  let running = true
  const ended = new Promise<void>(resolve => {
    child.once("exit", () => {
      running = false
      living.delete(child)
      resolve()
    })
  })
  // The pipe breaks when the program dies first; its end is reported by "exit".
  child.stdin?.on("error", () => {})
  unref(child)
  const end = async (how: () => void) => {
    if (!running) return
    child.ref()
    how()
    await ended
  }
  const stop = () =>
    end(() => {
      child.kill("SIGTERM")
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000)
      void ended.then(() => clearTimeout(timer))
    })
  const keep = () => {
    if (scratch) scratches.delete(scratch)
    return new Promise<void>(resolve => child.stdin?.end("keep\n", () => resolve()))
  }
  if (child.pid === undefined) throw new Error(`${name} has no process id`)
  return {
    pid: child.pid,
    get running() {
      return running
    },
    ended,
    stop,
    keep,
    kill: () => end(() => child.kill("SIGKILL"))
  }
}

/** A server that somebody forgot to stop must not keep its starter from ending. */
function unref(child: ChildProcess): void {
  child.unref()
  const pipe = child.stdin as (NodeJS.WritableStream & { unref?: () => void }) | null
  pipe?.unref?.()
}

/** Compiles `native/<name>.c` into the cache, once for each content, and gives back the executable's path. */
export function compiled(name: "launch" | "chdb", begin: () => void = () => {}): Promise<string> {
  const source = join(import.meta.dirname, "..", "native", `${name}.c`)
  const key = contentKey(readFileSync(source, "utf8"), process.platform, process.arch)
  return cached(join(cacheRoot(), "bin", `${name}-${key}`), async temporary => {
    begin()
    const reason = "starting development servers"
    await run(findTool("cc", reason), ["-O2", "-o", temporary, source, "-ldl"], { reason })
  })
}

/** Waits until `ready` says true, asking every 25 ms; throws with the log's last lines if the program ends before. */
export async function untilReady(
  program: Program,
  spec: ProgramSpec,
  ready: () => Promise<boolean>,
  timeoutMs = 90_000
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await ready())) {
    if (!program.running) throw new StartFailed(spec.name, await logTail(spec.logFile), "ended while starting")
    if (performance.now() > deadline) {
      await program.kill()
      throw new StartFailed(spec.name, await logTail(spec.logFile), `did not answer within ${timeoutMs / 1000} s`)
    }
    await sleep(25)
  }
}

/** A program that serves, and can be started again as it was. */
export interface Server extends Pick<Program, "pid" | "keep"> {
  /** An orderly shutdown; its scratch directory goes too. */
  stop(): Promise<void>
  /** `kill -9`; what it has written stays for `restart`. */
  kill(): Promise<void>
  /** Starts it again, after an orderly shutdown if it still runs. */
  restart(): Promise<void>
}

/** Starts a program and waits until `ready` says true; leaves nothing behind when that fails. */
export async function startServer(spec: ProgramSpec, ready: () => Promise<boolean>): Promise<Server> {
  let program = await started(spec, ready)
  return {
    get pid() {
      return program.pid
    },
    stop: async () => {
      await program.stop()
      if (spec.scratch) removeScratch(spec.scratch)
    },
    keep: () => program.keep(),
    kill: () => program.kill(),
    restart: async () => {
      await program.stop()
      program = await started(spec, ready)
    }
  }
}

async function started(spec: ProgramSpec, ready: () => Promise<boolean>): Promise<Program> {
  const program = await startProgram(spec)
  try {
    await untilReady(program, spec, ready)
  } catch (error) {
    await program.kill()
    if (spec.scratch) removeScratch(spec.scratch)
    throw error
  }
  return program
}

async function logTail(file: string): Promise<string> {
  return tail(await readFile(file, "utf8"))
}

export class StartFailed extends Error {
  override readonly name = "StartFailed"
  /** Somebody else took the port between our choice and the bind: worth another try with other ports. */
  readonly portTaken: boolean

  constructor(server: string, log: string, what: string) {
    super(`${server} ${what}. The last lines of its log:\n${log || "(empty)"}`)
    this.portTaken = /address already in use|port.*already.*(use|bound)/i.test(log)
  }
}

/** Tries `start` again with new ports when a port was taken meanwhile. */
export async function retryPorts<A>(start: () => Promise<A>): Promise<A> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start()
    } catch (error) {
      if (attempt === 4 || !(error instanceof StartFailed && error.portTaken)) throw error
    }
  }
}

/**
 * Below those that a system gives to whoever asks for any, and to each connection: what is free stays so until the server
 * has it, and while that is started again.
 */
const PORTS = { from: 10_000, beyond: 32_768 } as const

/** `count` distinct TCP ports on 127.0.0.1 that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Listener>()
  while (held.size < count) {
    const port = randomInt(PORTS.from, PORTS.beyond)
    const listener = await listen(port)
    if (listener !== undefined) held.set(port, listener)
  }
  await Promise.all([...held.values()].map(listener => new Promise(resolve => listener.close(resolve))))
  return [...held.keys()]
}

/** Undefined where somebody has the port. */
function listen(port: number): Promise<Listener | undefined> {
  return new Promise((resolve, reject) => {
    const listener = createServer()
    listener.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)
    )
    listener.listen(port, "127.0.0.1", () => resolve(listener))
  })
}

const scratches = new Set<string>()

/** A new directory for the data of one server, removed by `removeScratch`, at the latest when this process exits. */
export function makeScratch(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `headrace-${name}-`))
  if (scratches.size === 0) process.on("exit", removeAll)
  scratches.add(directory)
  return directory
}

export function removeScratch(directory: string): void {
  scratches.delete(directory)
  rmSync(directory, { recursive: true, force: true })
}

function removeAll(): void {
  for (const directory of scratches) removeScratch(directory)
}
