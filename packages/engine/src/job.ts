import { Schema } from "effect"

/** A cluster of brokers: librdkafka settings beyond `bootstrap` (TLS, SASL …) pass through unchanged. */
export const KafkaConfig = Schema.Struct({
  bootstrap: Schema.String,
  settings: Schema.Record(Schema.String, Schema.String)
})

/** What becomes of a committed offset that is no longer in the log: "stop" the job, or go on at the log's first or end. */
export const LostOffsets = Schema.Literals(["stop", "earliest", "latest"])
export type LostOffsets = typeof LostOffsets.Type

/** A place in S3, or in what speaks its protocol. Credentials are variables of the process. */
export const BucketConfig = Schema.Struct({
  bucket: Schema.String,
  /** Empty, or ends in "/". */
  prefix: Schema.String,
  /** A URL, if it is not AWS's. */
  endpoint: Schema.optionalKey(Schema.String),
  region: Schema.optionalKey(Schema.String),
  /** `endpoint/bucket/key` rather than `bucket.endpoint/key`. */
  pathStyle: Schema.Boolean
})
export type BucketConfig = typeof BucketConfig.Type

/** Where checkpoints are kept: a directory, as long as everything runs on one machine, or a bucket. */
export const CheckpointStore = Schema.Union([Schema.Struct({ directory: Schema.String }), BucketConfig])
export type CheckpointStore = typeof CheckpointStore.Type

/** Everything a thread needs to know to run its part of a job: plain values, the only thing that crosses threads. */
export const JobConfig = Schema.Struct({
  /** Prefix of groups, transactional ids and internal topics. */
  app: Schema.String,
  /** Unique among the running processes of this app; the same again after a restart. */
  instance: Schema.String,
  /** Absolute path of the pipeline module. */
  module: Schema.String,
  lanes: Schema.Int,
  kafka: KafkaConfig,
  registry: Schema.Struct({ url: Schema.String, auth: Schema.optionalKey(Schema.String) }),
  clickhouse: Schema.optionalKey(
    Schema.Struct({
      url: Schema.String,
      database: Schema.String,
      username: Schema.optionalKey(Schema.String),
      password: Schema.optionalKey(Schema.String)
    })
  ),
  commitIntervalMs: Schema.Finite,
  /** The most transaction markers that the brokers are to write for a lane in a second. */
  commitMarkers: Schema.optionalKey(Schema.Finite),
  checkpoint: Schema.Struct({ store: CheckpointStore, intervalMs: Schema.Finite, retained: Schema.Int }),
  /** What the state of one lane may take in memory, where what is beyond goes, and what a full disk comes to. */
  state: Schema.Struct({ laneBytes: Schema.Finite, directory: Schema.String, full: Schema.Literals(["wait", "stop"]) }),
  sessionTimeoutMs: Schema.Finite,
  lostOffsets: LostOffsets,
  /** In how many lanes of an instance a copy is kept of each partition that somebody else owns. */
  standby: Schema.Int,
  /** Replication factor of the internal topics that Headrace makes. */
  replication: Schema.Int
})
export type JobConfig = typeof JobConfig.Type
