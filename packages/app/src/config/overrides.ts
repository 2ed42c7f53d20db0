import { readFileSync } from "node:fs"
import { messageOf } from "@headrace/core"
import { Config, Effect, Option } from "effect"
import { type Document, isObject } from "./document.ts"
import { ConfigError } from "./error.ts"
import { type Override, SECRETS, SETTINGS, type SettingFlag } from "./origins.ts"

/** What was given on the command line; `kafka` are single settings of librdkafka. */
export interface Flags {
  readonly settings: Readonly<Partial<Record<SettingFlag, string>>>
  readonly kafka: Readonly<Record<string, string>>
}

export const fromFlags = ({ settings, kafka }: Flags): Override[] => [
  ...SETTINGS.flatMap(({ flag, path }) => {
    const value = settings[flag]
    return value === undefined ? [] : [{ path, value, origin: `--${flag}` }]
  }),
  ...Object.entries(kafka).map(([name, value]) => ofKafka(name, value, "--kafka-setting"))
]

const ofKafka = (name: string, value: string, origin: string): Override => ({
  path: ["clusters", "kafka", "settings", name],
  value,
  origin: `${origin} ${name}`
})

/** Each line of the file that `--kafka-config` names; any other override as it is. */
export const fromKafkaConfig = ({ path, value, origin }: Override): Effect.Effect<readonly Override[], ConfigError> =>
  path.at(-1) !== "config"
    ? Effect.succeed([{ path, value, origin }])
    : Effect.try({
        try: () => properties(readFileSync(value, "utf8")).map(([name, text]) => ofKafka(name, text, origin)),
        catch: error => new ConfigError({ message: `${value} (${origin}) cannot be used: ${messageOf(error)}` })
      })

/**
 * Lines `name=value`, or `name="value"` with JSON's escapes; empty ones and those that begin with `#` say nothing.
 */
const properties = (text: string): [name: string, value: string][] =>
  text.split(/\r?\n/).flatMap((line, index): [string, string][] => {
    if (/^\s*(#|$)/.test(line)) return []
    const [, name, value] = /^\s*([^\s=]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    // The line itself may be a secret.
    if (name === undefined || value === undefined) throw new Error(`line ${index + 1} is not "name=value"`)
    return [[name, value.startsWith('"') ? unquoted(value, index + 1) : value]]
  })

const unquoted = (text: string, line: number): string => {
  try {
    return String(JSON.parse(text))
  } catch {
    throw new Error(`line ${line}: the value begins with a quotation mark, but is no JSON string`)
  }
}

export const fromEnvironment = Effect.forEach([...SETTINGS, ...SECRETS], ({ variable, path }) =>
  Effect.map(Config.option(Config.String(variable)), value =>
    Option.isNone(value) || value.value === "" ? [] : [{ path, value: value.value, origin: variable }]
  )
).pipe(
  Effect.map(overrides => overrides.flat()),
  Effect.mapError(error => new ConfigError({ message: `the environment: ${error.message}` }))
)

export const withOverrides = (document: Document, overrides: readonly Override[]): Document =>
  overrides.reduce<Document>((whole, { path, value }) => put(whole, path, value), document)

const put = (document: Document, [key, ...rest]: readonly string[], value: string): Document => {
  if (key === undefined) return document
  if (rest.length === 0) return { ...document, [key]: value }
  const inner = document[key]
  return { ...document, [key]: put(isObject(inner) ? inner : {}, rest, value) }
}
