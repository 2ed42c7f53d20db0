import {
  Clients,
  type GroupOffsets,
  groupName,
  type JobConfig,
  type LogError,
  sourceTopics,
  type TopicPartition
} from "@headrace/engine"
import { kafkaClients } from "@headrace/kafka"
import { Effect } from "effect"
import type { Plan } from "headrace"
import type { SavepointRequest, Savepoints } from "./ending.ts"

const POLL = "200 millis"

const partitionsOf = (topics: readonly string[]): Effect.Effect<readonly TopicPartition[], LogError, Clients> =>
  Effect.scoped(
    Effect.gen(function* () {
      const admin = yield* (yield* Clients).admin
      const found = yield* admin.partitions(topics)
      return [...found].flatMap(([topic, count]) =>
        Array.from({ length: count }, (_, partition) => ({ topic, partition }))
      )
    })
  )

/** Nothing is ever committed for a partition that has no records. */
const endOf = ({ start, end }: { readonly start: number; readonly end: number }): number => (start === end ? 0 : end)

/**
 * Ends the job with a savepoint once what its topics hold now is committed: what is then between its stages is worked off
 * by that. The end moves on behind the markers of the last transaction within a second
 * or two of quiet.
 */
export const endWhenDone = (plan: Plan, job: JobConfig, savepoints: Savepoints, request: SavepointRequest) =>
  Effect.scoped(
    Effect.gen(function* () {
      const group = yield* (yield* Clients).offsets(groupName(job))
      yield* worked(group, sourceTopics(plan))
      while (!savepoints.ready) yield* Effect.sleep(POLL)
      yield* savepoints.take(request)
    })
  ).pipe(Effect.provide(kafkaClients(job.kafka)))

/** Ends when the group is behind all that the topics hold at the beginning. */
const worked = (group: GroupOffsets, topics: readonly string[]): Effect.Effect<void, LogError, Clients> =>
  Effect.gen(function* () {
    const partitions = yield* partitionsOf(topics)
    const ends = yield* Effect.forEach(partitions, one => Effect.map(group.range(one), endOf))
    yield* Effect.logInfo(
      `ends with a savepoint when ${ends.reduce((a, b) => a + b, 0)} offsets of ${topics.join(", ")} are behind it`
    )
    const done = Effect.map(group.committed(partitions), committed =>
      committed.every((offset, i) => (offset ?? 0) >= ends[i]!)
    )
    while (!(yield* done)) yield* Effect.sleep(POLL)
  })
