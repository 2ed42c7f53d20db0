import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A directory with these files, gone when disposed. */
export const scratch = (files: Readonly<Record<string, string>> = {}) => {
  const directory = mkdtempSync(join(tmpdir(), "headrace-test-"))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return {
    directory,
    file: (name: string) => join(directory, name),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true })
  }
}
