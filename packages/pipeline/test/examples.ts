import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const OWN = join(import.meta.dirname, "..")

/** Every example of a package's docstrings and of its README, by a file name that says where it stands. */
export const examples = (directory = OWN): Readonly<Record<string, string>> => {
  const names = readdirSync(join(directory, "src"), { recursive: true, encoding: "utf8" })
  const sources = names.filter(name => name.endsWith(".ts")).map(name => `src/${name}`)
  const found = [...sources, "README.md"].flatMap(file =>
    blocks(join(directory, file)).map((text, i) => [nameOf(file, i), text] as const)
  )
  return Object.fromEntries(found)
}

const nameOf = (file: string, index: number): string => `${file.replace(/\W/g, "-")}-${index}.ts`

/** The examples of one file, in its order. */
export const blocks = (file: string): readonly string[] => {
  const text = readFileSync(file, "utf8")
  return [...text.matchAll(/```ts\n(.*?)```/gs)].map(match => match[1]!.replaceAll(/^ \* ?/gm, ""))
}

/** Turns `expression // => value` lines into assertions. */
export const asserting = (example: string): string =>
  `import { expect as same } from "bun:test"\n${example.replaceAll(/^(.*\S) \/\/ => (.*)$/gm, "same($1).toEqual($2)")}`
