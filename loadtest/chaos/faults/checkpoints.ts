import { type FSWatcher, mkdirSync, readdirSync, readlinkSync, watch } from "node:fs"
import { join } from "node:path"
import type { Instance } from "../instance.ts"
import { APP, TOPICS } from "../job/movement.ts"
import { PARTITIONS, type World } from "../world.ts"
import { limited } from "./fault.ts"

/** A checkpoint that was caught while it is written, or when it is there. */
export interface Checkpointing {
  readonly writer: Instance
  /** Its own, without what a partial one has behind it. */
  readonly path: string
}

const PARTIAL = ".partial"
/** Checkpoints come every 10 s. */
const CATCH_MS = 30_000

/** The next checkpoint that somebody writes: `before` it gets its name, or `after`. */
export const nextCheckpoint = (world: World, when: "before" | "after"): Promise<Checkpointing> =>
  new Promise((resolve, reject) => {
    const writers = new Map<string, Instance>()
    const watchers: FSWatcher[] = []
    const end = () => {
      for (const watcher of watchers) watcher.close()
    }
    const seen = (directory: string, name: string) => {
      const path = join(directory, name)
      const writer = name.endsWith(PARTIAL) ? writerOf(world, path) : writers.get(path)
      if (writer === undefined) return
      if (name.endsWith(PARTIAL)) writers.set(targetOf(path), writer)
      if (name.endsWith(PARTIAL) !== (when === "before")) return
      end()
      resolve({ writer, path: targetOf(path) })
    }
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const directory = join(world.options.disk.directory, APP, TOPICS.movements, String(partition))
      mkdirSync(directory, { recursive: true })
      watchers.push(watch(directory, (_, name) => name !== null && seen(directory, name)))
    }
    limited(world, CATCH_MS).addEventListener("abort", () => {
      end()
      reject(new Error("no checkpoint was written in time"))
    })
  })

/** The name that it will get: a partial file has something random behind it. */
const targetOf = (partial: string): string => partial.replace(/(\.checkpoint)\..*$/, "$1")

/** Whose file it is, by what it has open. */
const writerOf = (world: World, path: string): Instance | undefined =>
  [...world.instances].find(instance => instance.running && hasOpen(instance.pid, path))

const hasOpen = (pid: number, path: string): boolean => {
  const directory = `/proc/${pid}/fd`
  try {
    return readdirSync(directory).some(fd => linkOf(join(directory, fd)) === path)
  } catch {
    // The process has just ended.
    return false
  }
}

const linkOf = (path: string): string | undefined => {
  try {
    return readlinkSync(path)
  } catch {
    // Closed since it was listed.
    return undefined
  }
}
