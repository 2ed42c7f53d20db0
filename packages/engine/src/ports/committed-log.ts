import { Context, type Effect, type Scope } from "effect"
import type { Batch, LogError, Polled, Position, TopicPartition } from "./log.ts"

/** A committed offset and what was written beside it (at most about 4,000 bytes: the broker's limit). */
export interface Mark extends Position {
  readonly metadata: string
}

/**
 * What a sink outside of Kafka reads: the committed records of a topic (read_committed), as a member of its own
 * consumer group. The sink makes one call at a time.
 */
export interface CommittedLog {
  /** Answers with what is there, at the latest after `timeoutMs` with nothing. */
  readonly poll: (maxRecords: number, timeoutMs: number) => Effect.Effect<Polled, LogError>
  /** Starts reading at explicit offsets; answers a pending assignment of the group. */
  readonly assign: (positions: readonly Position[]) => Effect.Effect<void, LogError>
  /** Gives partitions back; answers a pending revocation or loss. */
  readonly unassign: (partitions: readonly TopicPartition[]) => Effect.Effect<void, LogError>
  /** Moves partitions that are being read, and drops what was fetched of them. */
  readonly seek: (positions: readonly Position[]) => Effect.Effect<void, LogError>
  /** While paused, `poll` hands over changes only. Called when the sink's buffers are full, not for each poll. */
  readonly pause: (partitions: readonly TopicPartition[]) => Effect.Effect<void, LogError>
  readonly resume: (partitions: readonly TopicPartition[]) => Effect.Effect<void, LogError>
  /** The stable committed offsets with their metadata; undefined where there is none. */
  readonly committed: (partitions: readonly TopicPartition[]) => Effect.Effect<readonly (Mark | undefined)[], LogError>
  /**
   * Commits all marks in ONE request, fenced by the group, and waits for the answer. Succeeds only if each partition
   * was accepted. `Unknown` or `Retry`: the same call may be repeated. `Fenced`: the group moved on.
   */
  readonly commit: (marks: readonly Mark[]) => Effect.Effect<void, LogError>
  /** First offset still in the log, and the end (last stable offset). */
  readonly range: (
    partition: TopicPartition
  ) => Effect.Effect<{ readonly start: number; readonly end: number }, LogError>
  /** The ends (last stable offsets) of several partitions at once: a request to each broker, for the lag. */
  readonly ends: (partitions: readonly TopicPartition[]) => Effect.Effect<readonly number[], LogError>
  /**
   * Reads committed records from `from.offset` up to and including offset `last`, outside of the group: also of
   * partitions that belong to other members. Hands over batches in order, perhaps with later records behind; ends when
   * everything up to `last` was handed over. Used for recovery only, while `poll` and the others go on.
   */
  readonly read: <E>(
    from: Position,
    last: number,
    visit: (batch: Batch) => Effect.Effect<void, E>
  ) => Effect.Effect<void, LogError | E>
}

export interface CommittedLogOptions {
  readonly topic: string
  readonly group: string
  /** Static membership: the same name again takes over at once. */
  readonly member: string
  readonly sessionTimeoutMs: number
}

/** Opens committed logs of one cluster. What a scope opened, it closes. */
export class CommittedLogs extends Context.Service<
  CommittedLogs,
  { readonly open: (options: CommittedLogOptions) => Effect.Effect<CommittedLog, LogError, Scope.Scope> }
>()("@headrace/engine/CommittedLogs") {}
