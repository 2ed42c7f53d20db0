import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Shape } from "./pipelines.ts"

/**
 * A seed that failed once: it is run again with every test and every `npm run sim`, until somebody takes it out. What a
 * seed does changes with the simulation; `found` says what it was about.
 */
export interface Kept {
  readonly seed: number
  readonly shape?: Shape
  readonly found: string
}

const FILE = join(import.meta.dir, "..", "seeds.json")

export const keptSeeds = (): readonly Kept[] => JSON.parse(readFileSync(FILE, "utf8")) as readonly Kept[]

/** Adds what is not in the file yet. */
export const keep = (failed: readonly Kept[]): void => {
  const known = keptSeeds()
  const added = failed.filter(one => !known.some(other => other.seed === one.seed && other.shape === one.shape))
  if (added.length > 0) writeFileSync(FILE, `${JSON.stringify([...known, ...added], null, 2)}\n`)
}
