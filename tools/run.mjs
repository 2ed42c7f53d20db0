import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { root } from "./files.mjs"

const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

/** How long a program may take to end: npm does not in the middle of an installation, and begins it anew later. */
const GRACE_MS = 2000

/**
 * Runs a program quietly; each line that it prints goes to `note`. Rejects with its last lines when it fails. A signal
 * that ends us ends it first, with all that it has started: it leads a process group of its own. What does not end within
 * two seconds, or when a second signal comes, is ended by force.
 */
export function runQuietly(program, args, { note = () => {}, env = {}, cwd = root } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = ["ignore", "pipe", "pipe"]
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio, detached: true })
    let ending = false
    const end = signal => {
      if (ending) return force(child)
      ending = true
      child.removeAllListeners("close").once("close", () => process.exit(codes[signal]))
      process.kill(-child.pid, "SIGTERM")
      setTimeout(() => force(child), GRACE_MS)
    }
    const release = () => {
      for (const signal of Object.keys(codes)) process.off(signal, end)
    }
    for (const signal of Object.keys(codes)) process.on(signal, end)
    const last = []
    const take = line => {
      last.push(line)
      if (last.length > 30) last.shift()
      note(line)
    }
    createInterface({ input: child.stdout }).on("line", take)
    createInterface({ input: child.stderr }).on("line", take)
    child.once("error", error => {
      release()
      reject(error)
    })
    child.once("close", (code, signal) => {
      release()
      if (code === 0) resolve()
      else reject(new Error(`${[program, ...args].join(" ")} ended with ${signal ?? code}:\n${last.join("\n")}`))
    })
  })
}

/** Ends a process group. What has left it may keep the output open: that is not waited for. */
function force(child) {
  child.stdout.destroy()
  child.stderr.destroy()
  try {
    process.kill(-child.pid, "SIGKILL")
  } catch (error) {
    // Nobody is in it any more.
    if (error.code !== "ESRCH") throw error
  }
}

/**
 * Runs a program in the foreground, as if it had been started instead of us: it has our streams, and how it ends is how
 * we end. It gets our signals as SIGTERM: Ctrl-C reaches it by itself as well, and a second SIGINT would mean a second
 * Ctrl-C, which does not wait.
 */
export function runInstead(program, args, env = {}) {
  const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...env } })
  let got = "SIGTERM"
  for (const signal of Object.keys(codes)) {
    process.on(signal, () => {
      got = signal
      child.kill("SIGTERM")
    })
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", code => resolve(code ?? codes[got]))
  })
}
