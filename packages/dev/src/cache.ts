import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

/** A line that tells the user what is being done now. */
export type Log = (line: string) => void

export const silent: Log = () => {}

/** The directory that outlives the checkout: `$HEADRACE_CACHE`, else `~/.cache/headrace`. The native build has the same. */
export function cacheRoot(): string {
  const { HEADRACE_CACHE, XDG_CACHE_HOME } = process.env
  return HEADRACE_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "headrace")
}

/** A short name for some content: the first 12 hex digits of its SHA-256. */
export function contentKey(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 12)
}

/**
 * Makes `path` (a file or directory) once, whoever of several processes comes first: `make` fills a temporary path that
 * is renamed when it is whole, so a half-made entry is never seen. The others wait for the one that works.
 */
export async function cached(path: string, make: (temporary: string) => Promise<void>): Promise<string> {
  if (existsSync(path)) return path
  mkdirSync(dirname(path), { recursive: true })
  const lock = `${path}.lock`
  while (!takeLock(lock)) {
    await sleep(200)
    if (existsSync(path)) return path
  }
  const temporary = `${path}.${process.pid}.part`
  try {
    if (existsSync(path)) return path
    rmSync(temporary, { recursive: true, force: true })
    await make(temporary)
    renameSync(temporary, path)
    return path
  } finally {
    rmSync(temporary, { recursive: true, force: true })
    rmSync(lock, { force: true })
  }
}

/** The lock is a file with the owner's pid; one that is left over from a dead process counts as free. */
function takeLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
  }
  if (!ownerIsAlive(lock)) rmSync(lock, { force: true })
  return false
}

function ownerIsAlive(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, "utf8"))
    // An empty file is a lock that its owner is about to write.
    if (pid > 0) process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}
