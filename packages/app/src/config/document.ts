import { readFileSync } from "node:fs"
import { extname } from "node:path"
import { messageOf } from "@headrace/core"
import { Effect } from "effect"
import { LineCounter, parseDocument } from "yaml"
import { ConfigError } from "./error.ts"

/** What a file says, before anything of it is checked. */
export type Document = Readonly<Record<string, unknown>>

export const isYaml = (path: string): boolean => [".yaml", ".yml"].includes(extname(path))

export const readYaml = Effect.fnUntraced(function* (path: string) {
  const source = yield* Effect.try({
    try: () => readFileSync(path, "utf8"),
    catch: error => new ConfigError({ message: `${path} cannot be read: ${messageOf(error)}` })
  })
  const lineCounter = new LineCounter()
  const document = parseDocument(source, { lineCounter, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0])
    return yield* new ConfigError({ message: `${path}:${line}:${col}: not YAML: ${error.message}` })
  }
  const value: unknown = document.toJS() ?? {}
  if (!isObject(value)) return yield* new ConfigError({ message: `${path}: expected settings like "lanes: 2"` })
  return yield* substitute(path, value, [])
})

/** `${NAME}` in any text becomes the variable's value, so that secrets need not stand in files. */
const substitute = (file: string, value: unknown, path: readonly string[]): Effect.Effect<Document, ConfigError> =>
  Effect.try({
    try: () => replaceIn(value, path) as Document,
    catch: error => new ConfigError({ message: `${file}: ${messageOf(error)}` })
  })

const replaceIn = (value: unknown, path: readonly string[]): unknown => {
  if (typeof value === "string") return value.replace(/\$\{([^}]*)\}/g, (_, name: string) => variable(name, path))
  if (Array.isArray(value)) return value.map((item, i) => replaceIn(item, [...path, String(i)]))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaceIn(item, [...path, key])]))
}

const variable = (name: string, path: readonly string[]): string => {
  const value = process.env[name]
  if (value === undefined) {
    throw new Error(`${path.join(".")}: the environment variable ${name} is not set; set it or write the value instead`)
  }
  return value
}

export const isObject = (value: unknown): value is Document =>
  typeof value === "object" && value !== null && !Array.isArray(value)
