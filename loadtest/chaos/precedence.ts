import { readdirSync, readFileSync, writeFileSync } from "node:fs"

/** As `nice` counts. */
const FIRST = "-15"
const LOOK_EVERY_MS = 1000

/**
 * Has a run's processes come before whatever else the machine does, all of them alike: then what a fault costs is the run's
 * own. Linux weighs sessions against each other before it looks at the niceness of what is in them (autogroups), and servers
 * and instances have sessions of their own.
 */
export class Precedence {
  private readonly timer: ReturnType<typeof setInterval>

  constructor() {
    try {
      raise(process.pid)
    } catch (error) {
      // The weight of the root's group, where whoever is in no session is, is fixed.
      throw new Error("a run can come first on Linux only, started by root and in a session (setsid)", { cause: error })
    }
    this.timer = setInterval(() => this.giveAll(), LOOK_EVERY_MS)
  }

  /** At once: a process that is measured from its start does not wait for the next look. */
  give(pid: number): void {
    try {
      raise(pid)
    } catch {
      // It has ended.
    }
  }

  end(): void {
    clearInterval(this.timer)
  }

  private giveAll(): void {
    for (const pid of descendantsOf(process.pid, parents())) this.give(pid)
  }
}

const raise = (pid: number): void => writeFileSync(`/proc/${pid}/autogroup`, FIRST)

/** Whoever was started by `pid`, by those, and so on. */
export const descendantsOf = (pid: number, parents: ReadonlyMap<number, number>): readonly number[] => {
  const found = [pid]
  for (const one of found) for (const [child, parent] of parents) if (parent === one) found.push(child)
  return found.slice(1)
}

/** The parent of each process. */
const parents = (): ReadonlyMap<number, number> =>
  new Map(
    readdirSync("/proc")
      .filter(name => /^\d+$/.test(name))
      .flatMap(pid => parentOf(pid))
  )

const parentOf = (pid: string): readonly [number, number][] => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // pid (name, which may have anything in it) state parent …
    const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return [[Number(pid), Number(parent)]]
  } catch {
    return []
  }
}
