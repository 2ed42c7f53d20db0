import { mkdirSync } from "node:fs"
import { Spill } from "@headrace/engine"
import { Layer } from "effect"
import { SqliteSpill } from "./sqlite.ts"

export { SqliteSpill } from "./sqlite.ts"

/** Spilled state in SQLite, which Bun, Node and Deno bring along: one file for each partition, in a directory. */
export const sqliteSpill = (directory: string): Layer.Layer<Spill> =>
  Layer.succeed(Spill, {
    open: () => {
      mkdirSync(directory, { recursive: true })
      return new SqliteSpill(directory)
    }
  })
