import { fileURLToPath } from "node:url"
import type { Burst } from "./generator/schedule.ts"
import type { EngineSnapshot, LoadSnapshot } from "./snapshot.ts"

/** A cluster; `settings` are librdkafka's, for TLS, SASL and the like. */
export interface KafkaAccess {
  readonly bootstrap: string
  readonly settings: Readonly<Record<string, string>>
}
export interface RegistryAccess {
  readonly url: string
  /** `user:password`. */
  readonly auth?: string
}
export interface ClickHouseAccess {
  readonly url: string
  readonly database: string
  readonly username?: string
  readonly password?: string
}

/** A load: what is sent, for how long, and where it is looked for afterwards. */
export interface LoadOptions {
  readonly kafka: KafkaAccess
  readonly registry: RegistryAccess
  readonly clickhouse?: ClickHouseAccess
  /** Events/s, the mean over the run. */
  readonly rate: number
  readonly forMs: number
  /** The same seed makes the same events (but for their times). */
  readonly seed: number
  /** Generator threads, 1 … 63. */
  readonly threads: number
  readonly accounts: number
  /** How unevenly accounts are drawn: 0 all alike, 1 Zipf's law. */
  readonly zipf: number
  readonly disorderMs: number
  /** The share of events that come minutes late. */
  readonly lateFraction: number
  readonly burst?: Burst
  /** For topics that have to be made. */
  readonly partitions: number
  readonly replication: number
  /** Latency of events meant to be sent in the first `warmupMs` is not recorded; the audit counts them. */
  readonly warmupMs: number
  /** How long to wait without any progress for what is missing, before it counts as lost. */
  readonly patienceMs: number
  /** The module of the generator and meter threads; in a compiled binary its embedded path. */
  readonly worker: string
  /** Called every 250 ms. */
  readonly onSnapshot?: (snapshot: LoadSnapshot) => void
  /** Asked at each snapshot for what the pipeline shows of itself. */
  readonly engine?: () => EngineSnapshot | undefined
  /** When aborted, sending ends early; what was sent is still drained and audited. */
  readonly stop?: AbortSignal
}

/** The module that generator and meter threads run. */
export const workerPath = fileURLToPath(new URL("./worker.ts", import.meta.url))

/** The payments pipeline's module. */
export const paymentsModule = fileURLToPath(new URL("./scenarios/payments/pipeline.ts", import.meta.url))

/** A run of a minute at 60,000 events/s. */
export const defaults = {
  rate: 60_000,
  forMs: 60_000,
  seed: 1,
  threads: 1,
  accounts: 100_000,
  zipf: 1,
  disorderMs: 2_000,
  lateFraction: 0.0005,
  partitions: 8,
  replication: 1,
  warmupMs: 0,
  patienceMs: 30_000,
  worker: workerPath
} satisfies Partial<LoadOptions>
