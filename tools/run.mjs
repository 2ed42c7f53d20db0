import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { root } from "./files.mjs"

/** Runs a program quietly; each line that it prints goes to `note`. Rejects with its last lines when it fails. */
export function runQuietly(program, args, { note = () => {}, env = {}, cwd = root } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] })
    const last = []
    const take = line => {
      last.push(line)
      if (last.length > 30) last.shift()
      note(line)
    }
    createInterface({ input: child.stdout }).on("line", take)
    createInterface({ input: child.stderr }).on("line", take)
    child.once("error", reject)
    child.once("close", (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${[program, ...args].join(" ")} ended with ${signal ?? code}:\n${last.join("\n")}`))
    })
  })
}

/**
 * Runs a program in the foreground, as if it had been started instead of us: it has our streams, gets our signals, and
 * how it ends is how we end. Ctrl-C in a terminal reaches it by itself, so it is passed on only when it came from kill.
 */
export function runInstead(program, args, env = {}) {
  const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...env } })
  const forward = signal => () => child.kill(signal)
  process.on("SIGINT", process.stdin.isTTY ? () => {} : forward("SIGINT"))
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, forward(signal))
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)))
  })
}
