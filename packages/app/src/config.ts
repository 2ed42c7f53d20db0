import { readFileSync } from "node:fs"
import { availableParallelism, homedir, hostname, totalmem } from "node:os"
import { dirname, extname, join, resolve } from "node:path"
import { type CheckpointStore, type JobConfig, LostOffsets } from "@headrace/engine"
import { Config, Effect, Option, Schema, SchemaIssue } from "effect"
import { LineCounter, parseDocument } from "yaml"
import { pipelineFile } from "./place.ts"
import {
  Bootstrap,
  ClickHouseUrl,
  HttpUrl,
  millis,
  Name,
  NonEmpty,
  S3_URL,
  Scalar,
  StorePlace,
  size,
  whole
} from "./value.ts"

/** Something that was given by flag, environment or file is wrong. Shown to the user as it is. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", { message: Schema.String }) {}

const optional = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(schema)
const withDefault = <A, I>(schema: Schema.Codec<A, I>, value: () => NoInfer<I>) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.sync(value)))

const MAX_LANES = 256
const defaultLanes = (): number => Math.min(availableParallelism(), 16)

/** A quarter of the machine, or of what the container may have of it. The heap, brokers and sinks need the rest. */
const defaultStateMemory = (): string => {
  const limit = process.constrainedMemory()
  const memory = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  return `${Math.max(LEAST_STATE_MB, Math.floor(memory / 4 / (1 << 20)))} MB`
}
const LEAST_STATE_MB = 16

/** The host's name: the same after a restart, other than its neighbours'. */
export const defaultInstance = (): string =>
  hostname()
    .replace(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, 100) || "host"

const Clusters = Schema.Struct({
  kafka: Schema.Struct({
    bootstrap: Bootstrap,
    settings: withDefault(Schema.Record(Schema.String, Scalar), () => ({}))
  }),
  registry: Schema.Struct({ url: HttpUrl, auth: optional(NonEmpty) }),
  clickhouse: optional(
    Schema.Struct({
      url: ClickHouseUrl,
      database: withDefault(NonEmpty, () => "default"),
      username: optional(NonEmpty),
      password: optional(Schema.String)
    })
  )
})

/** Of a checkpoint store in S3. What is not given here comes from the variables that AWS's own tools read. */
const S3 = Schema.Struct({
  endpoint: optional(HttpUrl),
  region: optional(NonEmpty),
  pathStyle: withDefault(Schema.Boolean, () => true)
})

/** A configuration file. Every default stands here, and only here. */
export const Settings = Schema.Struct({
  /** Prefix of groups, transactional ids and internal topics. Default: the pipeline's name. */
  app: optional(Name),
  instance: withDefault(Name, defaultInstance),
  /** Path of the pipeline module, relative to the file. */
  pipeline: NonEmpty,
  lanes: withDefault(whole(0, MAX_LANES), defaultLanes),
  /** Which ClickHouse sinks this process runs: "all", "none" or tables. */
  sinks: withDefault(Schema.Union([Schema.Literals(["all", "none"]), Schema.Array(NonEmpty)]), () => "all" as const),
  clusters: Clusters,
  commit: withDefault(
    Schema.Struct({
      interval: withDefault(millis(1, 60_000), () => "25 millis"),
      /** Transaction markers a second and lane: with very many partitions commits come less often. */
      markers: withDefault(whole(1, 1_000_000), () => 1000)
    }),
    () => ({})
  ),
  checkpoint: withDefault(
    Schema.Struct({
      /** A directory, or `s3://bucket/prefix`. Default: `<state directory of the user>/headrace/<app>/checkpoints`. */
      store: optional(StorePlace),
      s3: withDefault(S3, () => ({})),
      interval: withDefault(millis(1000, 86_400_000), () => "60 seconds"),
      /** One would leave nothing to fall back to, and a restore nothing to read on from while the next one is written. */
      retained: withDefault(whole(2, 1000), () => 3)
    }),
    () => ({})
  ),
  state: withDefault(
    Schema.Struct({
      /** What all state of this process may take in memory: beyond half of it, what was not used lately goes to disk. */
      memory: withDefault(size(LEAST_STATE_MB), defaultStateMemory),
      /** Local disk for it. Nothing has to survive there. Default: beside the checkpoints. */
      directory: optional(NonEmpty),
      /** When that disk is full: "wait" starts the lane again, ever later, "stop" ends the job. */
      full: withDefault(Schema.Literals(["wait", "stop"]), () => "wait" as const)
    }),
    () => ({})
  ),
  savepoint: withDefault(
    Schema.Struct({
      /** A directory, or `s3://bucket/prefix`. Default: `<state directory of the user>/headrace/savepoints`, for all apps. */
      store: optional(StorePlace)
    }),
    () => ({})
  ),
  session: withDefault(
    Schema.Struct({ timeout: withDefault(millis(1000, 1_800_000), () => "10 seconds") }),
    () => ({})
  ),
  /** In how many lanes of this instance a copy is kept of each partition that others own: as many as `lanes` for all. */
  standby: withDefault(whole(0, MAX_LANES), () => 0),
  watchdog: withDefault(
    Schema.Struct({
      /** How long a lane or table may stand still with work before it. */
      after: withDefault(millis(1000, 86_400_000), () => "60 seconds"),
      action: withDefault(Schema.Literals(["restart", "stop", "warn"]), () => "restart" as const)
    }),
    () => ({})
  ),
  offsets: withDefault(
    Schema.Struct({
      /** Where to go on when retention took records that were not processed. */
      lost: withDefault(LostOffsets, () => "stop" as const)
    }),
    () => ({})
  ),
  topics: withDefault(Schema.Struct({ replication: withDefault(whole(1, 15), () => 1) }), () => ({})),
  http: withDefault(
    Schema.Struct({
      host: withDefault(NonEmpty, () => "127.0.0.1"),
      /** 0: a free one, which is logged. */
      port: withDefault(whole(0, 65535), () => 7400)
    }),
    () => ({})
  ),
  /** Set in the process's environment before the pipeline is imported. */
  env: withDefault(Schema.Record(Schema.String, Scalar), () => ({}))
})
export type Settings = typeof Settings.Type

/** One value that a flag or a variable sets, at its path in `Settings`. */
interface Override {
  readonly path: readonly string[]
  readonly value: string
  /** What the user wrote it in: `--lanes`, `HEADRACE_LANES`. */
  readonly origin: string
}

/** Flags of `run` and the variables that stand for them. A flag wins over its variable, that over the file. */
export const SETTINGS = [
  { flag: "app", variable: "HEADRACE_APP", path: ["app"] },
  { flag: "instance", variable: "HEADRACE_INSTANCE", path: ["instance"] },
  { flag: "kafka", variable: "HEADRACE_KAFKA", path: ["clusters", "kafka", "bootstrap"] },
  { flag: "kafka-config", variable: "HEADRACE_KAFKA_CONFIG", path: ["clusters", "kafka", "config"] },
  { flag: "registry", variable: "HEADRACE_REGISTRY", path: ["clusters", "registry", "url"] },
  { flag: "clickhouse", variable: "HEADRACE_CLICKHOUSE", path: ["clusters", "clickhouse", "url"] },
  { flag: "database", variable: "HEADRACE_DATABASE", path: ["clusters", "clickhouse", "database"] },
  { flag: "clickhouse-user", variable: "HEADRACE_CLICKHOUSE_USER", path: ["clusters", "clickhouse", "username"] },
  { flag: "lanes", variable: "HEADRACE_LANES", path: ["lanes"] },
  { flag: "commit-interval", variable: "HEADRACE_COMMIT_INTERVAL", path: ["commit", "interval"] },
  { flag: "checkpoints", variable: "HEADRACE_CHECKPOINTS", path: ["checkpoint", "store"] },
  { flag: "checkpoint-interval", variable: "HEADRACE_CHECKPOINT_INTERVAL", path: ["checkpoint", "interval"] },
  { flag: "state-memory", variable: "HEADRACE_STATE_MEMORY", path: ["state", "memory"] },
  { flag: "state-directory", variable: "HEADRACE_STATE_DIRECTORY", path: ["state", "directory"] },
  { flag: "savepoints", variable: "HEADRACE_SAVEPOINTS", path: ["savepoint", "store"] },
  { flag: "standby", variable: "HEADRACE_STANDBY", path: ["standby"] },
  { flag: "replication", variable: "HEADRACE_REPLICATION", path: ["topics", "replication"] },
  { flag: "host", variable: "HEADRACE_HOST", path: ["http", "host"] },
  { flag: "port", variable: "HEADRACE_PORT", path: ["http", "port"] }
] as const
export type SettingFlag = (typeof SETTINGS)[number]["flag"]

/** Secrets have no flags: everybody on the machine can read a process's arguments. */
const SECRETS = [
  { variable: "HEADRACE_REGISTRY_AUTH", path: ["clusters", "registry", "auth"] },
  { variable: "HEADRACE_CLICKHOUSE_PASSWORD", path: ["clusters", "clickhouse", "password"] }
] as const

/** All variables that are settings. */
export const VARIABLES: ReadonlySet<string> = new Set([...SETTINGS, ...SECRETS].map(({ variable }) => variable))

/** What was given on the command line; `kafka` are single settings of librdkafka. */
export interface Flags {
  readonly settings: Readonly<Partial<Record<SettingFlag, string>>>
  readonly kafka: Readonly<Record<string, string>>
}

/** The settings of one run: `file` is a pipeline's module or name, or a YAML file that says one. */
export const loadSettings = Effect.fnUntraced(function* (file: string, flags: Flags) {
  const path = resolve(file)
  const written = isYaml(path) ? yield* readYaml(path) : { pipeline: pipelineFile(file) }
  const given = [...(yield* fromEnvironment), ...fromFlags(flags)]
  const overrides = (yield* Effect.forEach(given, fromKafkaConfig)).flat()
  const settings = yield* decode(file, withOverrides({ clusters: {}, ...written }, overrides), overrides)
  return { ...settings, pipeline: pipelineFile(settings.pipeline, dirname(path)) }
})

const isYaml = (path: string): boolean => [".yaml", ".yml"].includes(extname(path))

const fromFlags = ({ settings, kafka }: Flags): Override[] => [
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
const fromKafkaConfig = ({ path, value, origin }: Override): Effect.Effect<readonly Override[], ConfigError> =>
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

const fromEnvironment = Effect.forEach([...SETTINGS, ...SECRETS], ({ variable, path }) =>
  Effect.map(Config.option(Config.String(variable)), value =>
    Option.isNone(value) || value.value === "" ? [] : [{ path, value: value.value, origin: variable }]
  )
).pipe(
  Effect.map(overrides => overrides.flat()),
  Effect.mapError(error => new ConfigError({ message: `the environment: ${error.message}` }))
)

const readYaml = Effect.fnUntraced(function* (path: string) {
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

type Document = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Document =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const withOverrides = (document: Document, overrides: readonly Override[]): Document =>
  overrides.reduce<Document>((whole, { path, value }) => put(whole, path, value), document)

const put = (document: Document, [key, ...rest]: readonly string[], value: string): Document => {
  if (key === undefined) return document
  if (rest.length === 0) return { ...document, [key]: value }
  const inner = document[key]
  return { ...document, [key]: put(isObject(inner) ? inner : {}, rest, value) }
}

const decode = (file: string, document: Document, overrides: readonly Override[]) =>
  Schema.decodeUnknownEffect(Settings)(document, {
    errors: "all",
    onExcessProperty: "error",
    reportInput: true
  }).pipe(Effect.mapError(error => new ConfigError({ message: explainIssues(file, error.issue, overrides) })))

/** A value of the wrong type is told what its own schema expects ("a duration …"), not just "string". */
const standard = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: issue => {
    const expected = issue._tag === "InvalidType" ? issue.ast.annotations?.expected : undefined
    if (typeof expected !== "string" || !SchemaIssue.hasInput(issue)) return SchemaIssue.defaultLeafHook(issue)
    return `Expected ${expected}, got ${JSON.stringify(issue.input)}`
  }
})

/** Every problem on its own line: where it was written, and what was expected there. */
const explainIssues = (file: string, issue: SchemaIssue.Issue, overrides: readonly Override[]): string => {
  const lines = standard(issue).issues.map(({ path, message }) => {
    const at = (path ?? []).map(String)
    return `${origin(file, at, overrides)}: ${missing(at, message)}`
  })
  return [...new Set(lines)].join("\n")
}

const origin = (file: string, path: readonly string[], overrides: readonly Override[]): string => {
  const last = overrides.findLast(override => override.path.join(".") === path.join("."))
  if (last !== undefined) return last.origin
  return isYaml(file) ? `${file}: ${path.join(".")}` : path.join(".")
}

const HOW: Readonly<Record<string, string>> = Object.fromEntries(
  SETTINGS.flatMap(({ flag, variable: name, path }) =>
    path.map((_, i) => [path.slice(0, i + 1).join("."), `give it by --${flag}, ${name} or in a YAML file`] as const)
  ).reverse()
)

const missing = (path: readonly string[], message: string): string => {
  if (/^Missing key/i.test(message)) return `is missing; ${HOW[path.join(".")] ?? "give it in the file"}`
  if (/^(Unexpected|Excess) key/i.test(message)) return "is not a setting; see the README for the settings there are"
  if (isSecret(path)) return message.replace(/, got .*$/s, "")
  return message
}
const isSecret = (path: readonly string[]): boolean => /password|secret|auth|settings/i.test(path.join("."))

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The plain values that threads get. `name` is the pipeline's. */
export const jobOf = (settings: Settings, name: string): JobConfig => {
  const app = settings.app ?? name
  const { kafka, registry, clickhouse } = settings.clusters
  return {
    app,
    instance: settings.instance,
    module: settings.pipeline,
    lanes: settings.lanes,
    kafka: { bootstrap: kafka.bootstrap, settings: kafka.settings },
    registry,
    ...(clickhouse === undefined ? {} : { clickhouse }),
    commitIntervalMs: settings.commit.interval,
    commitMarkers: settings.commit.markers,
    checkpoint: {
      store: storeOf(settings.checkpoint.store ?? join(stateDirectory(), app, "checkpoints"), settings.checkpoint.s3),
      intervalMs: settings.checkpoint.interval,
      retained: settings.checkpoint.retained
    },
    state: {
      laneBytes: settings.state.memory / Math.max(1, settings.lanes),
      directory: resolve(settings.state.directory ?? join(stateDirectory(), app, "spill")),
      full: settings.state.full
    },
    sessionTimeoutMs: settings.session.timeout,
    lostOffsets: settings.offsets.lost,
    standby: settings.standby,
    replication: settings.topics.replication
  }
}

/** The store that a setting names, with what the environment says of S3. */
const storeOf = (place: string, s3: typeof S3.Type): CheckpointStore => {
  const [, bucket, path = ""] = S3_URL.exec(place) ?? []
  if (bucket === undefined) return { directory: resolve(place) }
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION } = process.env
  const endpoint = s3.endpoint ?? (AWS_ENDPOINT_URL_S3 || AWS_ENDPOINT_URL)
  const region = s3.region ?? (AWS_REGION || AWS_DEFAULT_REGION)
  return {
    bucket,
    prefix: path === "" ? "" : `${path.replace(/\/+$/, "")}/`,
    ...(endpoint ? { endpoint } : {}),
    ...(region ? { region } : {}),
    pathStyle: s3.pathStyle
  }
}

/** As a user writes it. */
export const storeText = (store: CheckpointStore): string =>
  "directory" in store ? store.directory : `s3://${store.bucket}/${store.prefix}`

/** Where savepoints are kept, of all apps. `s3`: as for checkpoints; a command that knows no job has its defaults. */
export const savepointsIn = (
  place: string | undefined,
  s3: typeof S3.Type = Schema.decodeUnknownSync(S3)({})
): CheckpointStore => storeOf(place ?? join(stateDirectory(), "savepoints"), s3)

/** Where a user's programs keep state between runs (XDG): never the current directory by accident. */
const stateDirectory = (): string => join(process.env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "headrace")
