import { availableParallelism, hostname, totalmem } from "node:os"
import { LostOffsets } from "@headrace/engine"
import { Effect, Schema } from "effect"
import { Bootstrap, ClickHouseUrl, HttpUrl, millis, Name, NonEmpty, Scalar, StorePlace, size, whole } from "../value.ts"

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
const defaultInstance = (): string =>
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
export const S3 = Schema.Struct({
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
