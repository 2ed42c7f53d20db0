import { readFileSync } from "node:fs"
import { basename, extname } from "node:path"
import { messageOf } from "@headrace/core"
import { Effect } from "effect"
import { Patterns } from "headrace"
import { ConfigError } from "../config/error.ts"

/** A pattern in a file: its text, checked, and its id, which is the file's name unless one is given. */
export const patternFile = (path: string, id: string | undefined) =>
  Effect.try({
    try: () => ({
      id: id ?? basename(path, extname(path)),
      spec: Patterns.checkedSpec(readFileSync(path, "utf8"), undefined)
    }),
    catch: error => new ConfigError({ message: `${path}: ${messageOf(error)}` })
  })

/** The same pattern, the same text; what cannot be read is nothing but itself. */
export const canonicalSpec = (text: string): string => {
  try {
    return Patterns.checkedSpec(text, undefined)
  } catch {
    return text
  }
}
