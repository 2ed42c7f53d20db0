/** One value that a flag or a variable sets, at its path in `Settings`. */
export interface Override {
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
export const SECRETS = [
  { variable: "HEADRACE_REGISTRY_AUTH", path: ["clusters", "registry", "auth"] },
  { variable: "HEADRACE_CLICKHOUSE_PASSWORD", path: ["clusters", "clickhouse", "password"] }
] as const

/** All variables that are settings. */
export const VARIABLES: ReadonlySet<string> = new Set([...SETTINGS, ...SECRETS].map(({ variable }) => variable))
