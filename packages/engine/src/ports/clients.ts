import { Context, type Effect, type Scope } from "effect"
import type { Mark } from "./committed-log.ts"
import type { ChangelogReader, LogError, Place, Position, Producer, Source, TopicPartition } from "./log.ts"

export interface NewTopic {
  readonly topic: string
  readonly partitions: number
  readonly replication: number
  readonly config: Readonly<Record<string, string>>
}

/** A member of a group, by its static name. */
export interface GroupMember {
  readonly name: string
  readonly partitions: readonly TopicPartition[]
}

/** Topics and groups as such. */
export interface Admin {
  /** The number of partitions of each topic that exists. */
  readonly partitions: (topics: readonly string[]) => Effect.Effect<ReadonlyMap<string, number>, LogError>
  /** The settings of topics that exist, as they are in force; `Stop` also where the client may not read them. */
  readonly settings: (
    topics: readonly string[]
  ) => Effect.Effect<ReadonlyMap<string, Readonly<Record<string, string | null>>>, LogError>
  /** One that exists already is no error. */
  readonly create: (topics: readonly NewTopic[]) => Effect.Effect<void, LogError>
  /** Returns when they are gone. One that does not exist is no error. */
  readonly remove: (topics: readonly string[]) => Effect.Effect<void, LogError>
  /** Drops the records of a partition below `offset`. */
  readonly trim: (partition: TopicPartition, offset: number) => Effect.Effect<void, LogError>
  /**
   * Who is in a group at the moment, and what each was given: a dead member is until its session has timed out. Undefined
   * where brokers do not tell. While a classic group gives partitions out anew nobody has any.
   */
  readonly members: (group: string) => Effect.Effect<readonly GroupMember[] | undefined, LogError>
  /** The transactions that are open, of those whose ids begin with `prefix`; undefined where brokers do not tell. */
  readonly transactions: (prefix: string) => Effect.Effect<OpenTransactions | undefined, LogError>
}

/** What brokers tell of transactions that are open, each of those that it coordinates. */
export interface OpenTransactions {
  readonly ids: readonly string[]
  /** Why some broker has not told, so that what it coordinates is missing; null: all have. */
  readonly silent: string | null
}

/** The offsets of a group, from outside of it. */
export interface GroupOffsets {
  /** Undefined where there is none. */
  readonly committed: (
    partitions: readonly TopicPartition[]
  ) => Effect.Effect<readonly (number | undefined)[], LogError>
  /** The same, and what stands beside them. */
  readonly marks: (partitions: readonly TopicPartition[]) => Effect.Effect<readonly (Mark | undefined)[], LogError>
  /** What is committed now, whether transactions are pending on it or not: never waits, and may be old in the next moment. */
  readonly latest: (partitions: readonly TopicPartition[]) => Effect.Effect<readonly (Mark | undefined)[], LogError>
  /** The ends (last stable offsets) of several partitions at once: a request to each broker, and old in the next moment, too. */
  readonly ends: (partitions: readonly TopicPartition[]) => Effect.Effect<readonly number[], LogError>
  /** Refused by the broker while the group has members. */
  readonly commit: (places: readonly Place[]) => Effect.Effect<void, LogError>
  /** First offset still in the log, and the end (last stable offset). */
  readonly range: (
    partition: TopicPartition
  ) => Effect.Effect<{ readonly start: number; readonly end: number }, LogError>
  /** The keys of the committed records from a position to the end as of now; undefined: a record without a key. */
  readonly keys: (
    from: Position,
    visit: (offset: number, key: Uint8Array | undefined) => void
  ) => Effect.Effect<void, LogError>
}

export interface SourceOptions {
  readonly topics: readonly string[]
  readonly group: string
  /** Static membership: the same name again takes over at once. */
  readonly member: string
  readonly sessionTimeoutMs: number
}

/** A member of a group that can leave it. */
export interface Membership extends Source {
  readonly close: Effect.Effect<void, LogError>
}

/** Makes the clients of one cluster. What a scope made, it closes. */
export class Clients extends Context.Service<
  Clients,
  {
    readonly source: (options: SourceOptions) => Effect.Effect<Membership, LogError, Scope.Scope>
    /** Output topic ids are the places in `topics`. */
    readonly producer: (
      transactionalId: string,
      topics: readonly string[]
    ) => Effect.Effect<Producer, LogError, Scope.Scope>
    readonly changelog: Effect.Effect<ChangelogReader, LogError, Scope.Scope>
    readonly admin: Effect.Effect<Admin, LogError, Scope.Scope>
    readonly offsets: (group: string) => Effect.Effect<GroupOffsets, LogError, Scope.Scope>
  }
>()("@headrace/engine/Clients") {}
