import { type ChildProcess, spawn } from "node:child_process"
import { openSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { freePorts } from "@headrace/dev"

/** What `headrace` runs. */
export const MAIN = fileURLToPath(new URL("../../packages/app/src/main.ts", import.meta.url))
const STOP_MS = 15_000

/** `headrace run` in a process of its own, with what it prints in a file. */
export interface Running {
  readonly child: ChildProcess
  /** Its health and metrics. */
  readonly url: string
  /** The end of what it printed. */
  readonly said: () => string
  readonly end: () => Promise<void>
}

/**
 * Starts a pipeline of `jobs/` without its tables; `flags` of `headrace run` by name. It ends when this process does.
 * `main`: what runs it, and understands messages of this process.
 */
export const startRun = async (
  module: string,
  log: string,
  flags: Readonly<Record<string, string>>,
  main: string = MAIN
): Promise<Running> => {
  const [port] = await freePorts(1)
  const all = { instance: "bench", sinks: "none", port: String(port), ...flags }
  const args = Object.entries(all).flatMap(([flag, value]) => [`--${flag}`, value])
  const path = fileURLToPath(new URL(module, import.meta.url))
  const output = openSync(log, "w")
  const command = [main, "run", path, ...args, "--stop-with-stdin"]
  const child = spawn(process.execPath, command, { stdio: ["pipe", output, output, "ipc"] })
  return {
    child,
    url: `http://127.0.0.1:${port}`,
    said: () => readFileSync(log, "utf8").trimEnd().split("\n").slice(-20).join("\n"),
    end: () => end(child)
  }
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
