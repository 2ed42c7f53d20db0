import { Option } from "effect"
import { Flag } from "effect/cli"
import type { SettingFlag } from "./config/origins.ts"
import type { Flags } from "./config/overrides.ts"

const HELP: Readonly<Record<SettingFlag, readonly [metavar: string, help: string]>> = {
  app: ["name", "Prefix of groups, transactional ids and internal topics (default: the pipeline's name)"],
  instance: [
    "name",
    "Unique among the running processes of the app, the same after a restart (default: the host's name)"
  ],
  kafka: ["host:port", "Kafka brokers, several separated by commas"],
  "kafka-config": ["file", "librdkafka's settings, a line name=value each, for TLS, SASL and secrets"],
  registry: ["url", "Schema registry (Confluent's API); HEADRACE_REGISTRY_AUTH may hold user:password"],
  clickhouse: ["url", "ClickHouse over HTTP, or chdb:/directory for an embedded one: for pipelines that fill tables"],
  "clickhouse-user": ["name", "ClickHouse user; the password comes from HEADRACE_CLICKHOUSE_PASSWORD"],
  database: ["name", "ClickHouse database (default: default)"],
  lanes: ["n", "Threads that process partitions (default: one for each core)"],
  "commit-interval": ["duration", 'Between transactions (default: "25 millis")'],
  checkpoints: [
    "place",
    "Where checkpoints are kept: a directory, or s3://bucket/prefix (default: under $XDG_STATE_HOME/headrace or ~/.local/state/headrace)"
  ],
  "checkpoint-interval": ["duration", 'Between full checkpoints (default: "60 seconds")'],
  "state-memory": [
    "size",
    "What state may take in memory, such as 512 MB; what is beyond is on disk (default: a quarter)"
  ],
  "state-directory": ["dir", "Local disk for state that is beyond it (default: beside the checkpoints)"],
  savepoints: [
    "dir|s3://…",
    "Where savepoints are kept, of all apps (default: under $XDG_STATE_HOME/headrace or ~/.local/state)"
  ],
  standby: ["n", "Lanes that keep a copy of each partition of other instances, to take it over warm (default: 0)"],
  replication: ["n", "Replication factor of internal topics that are made (default: 1)"],
  host: ["address", "Where health and metrics listen (default: 127.0.0.1)"],
  port: ["port", "Port of health and metrics; 0 takes a free one (default: 7400)"]
}

const settingFlag = (name: SettingFlag) =>
  Flag.String(name).pipe(Flag.withMetavar(HELP[name][0]), Flag.withDescription(HELP[name][1]), Flag.optional)

/** The flags that stand for these settings. */
export const settingFlags = <const F extends SettingFlag>(names: readonly F[]) =>
  Object.fromEntries(names.map(name => [name, settingFlag(name)])) as Record<F, Flag.Flag<Option.Option<string>>>

export const kafkaSetting = Flag.KeyValuePair("kafka-setting").pipe(
  Flag.withMetavar("name=value"),
  Flag.withDescription("One of librdkafka's settings, such as security.protocol=SSL; may stand several times"),
  Flag.withDefault<Record<string, string>>({})
)

type Parsed = { readonly kafkaSetting: Record<string, string> } & {
  readonly [F in SettingFlag]?: Option.Option<string>
}

/** What was given of these flags. */
export const flagsOf = ({ kafkaSetting: kafka, ...flags }: Parsed): Flags => ({
  settings: Object.fromEntries(
    Object.entries(flags).flatMap(([name, value]) => (Option.isSome(value) ? [[name, value.value]] : []))
  ),
  kafka
})
