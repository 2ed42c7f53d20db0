import { type Admin as AdminPort, Clients, type KafkaConfig, LogError, type SourceOptions } from "@headrace/engine"
import { Effect, Layer, Schedule } from "effect"
import type { Admin, TopicSpec } from "./admin.ts"
import { adminClient } from "./admin-client.ts"
import { openChangelog } from "./changelog.ts"
import { onceCoordinated } from "./coordinator.ts"
import { KafkaError } from "./error.ts"
import { openMembership } from "./membership.ts"
import { openOffsets } from "./offsets.ts"
import { attemptWith } from "./reports.ts"
import { openProducer } from "./transactional.ts"

/** The engine's clients, on librdkafka. Nothing is connected until one is made. */
export const kafkaClients = (config: typeof KafkaConfig.Type): Layer.Layer<Clients> =>
  Layer.succeed(
    Clients,
    Clients.of({
      source: (options: SourceOptions) => openMembership(config, options),
      producer: (transactionalId, topics) => openProducer(config, transactionalId, topics),
      changelog: openChangelog(config),
      admin: openAdmin(config),
      offsets: group => openOffsets(config, group)
    })
  )

const METADATA_TIMEOUT_MS = 10_000
/** How often it is asked whether topics are gone, for half a minute. */
const GONE = { schedule: Schedule.spaced("100 millis"), times: 300 }

/** A partition whose leader has just moved is asked for again, for as long as librdkafka may not know of it (5 s). */
const LED = { schedule: Schedule.spaced("500 millis"), times: 12 }

const openAdmin = (config: typeof KafkaConfig.Type) =>
  Effect.map(
    adminClient(config),
    (admin): AdminPort => ({
      partitions: topics => attemptWith(admin, "read metadata", () => partitionsOf(admin, topics)),
      settings: topics =>
        attemptWith(admin, "read the settings of topics", () => admin.settings(topics, METADATA_TIMEOUT_MS)),
      create: topics =>
        attemptWith(admin, "create topics", async () => {
          for (const topic of topics) await createUnlessThere(admin, topic)
        }),
      remove: topics =>
        Effect.andThen(
          attemptWith(admin, "delete topics", async () => {
            for (const topic of topics) await deleteIfThere(admin, topic)
          }),
          untilGone(admin, topics)
        ),
      trim: (partition, offset) =>
        attemptWith(admin, `trim ${partition.topic}/${partition.partition}`, () =>
          admin.deleteRecords([{ ...partition, offset }], METADATA_TIMEOUT_MS)
        ).pipe(Effect.retry({ ...LED, while: error => error.failure === "Retry" })),
      members: group =>
        onceCoordinated(
          attemptWith(admin, `read the members of ${group}`, () => admin.members(group, METADATA_TIMEOUT_MS))
        ),
      transactions: prefix =>
        onceCoordinated(attemptWith(admin, "read the open transactions", () => admin.transactions(prefix)))
    })
  )

/** How many each topic has, of those that are there. */
const partitionsOf = async (admin: Admin, topics: readonly string[]): Promise<ReadonlyMap<string, number>> => {
  // Asked for no topic, the broker tells of all.
  if (topics.length === 0) return new Map()
  const found = await admin.metadata(topics, METADATA_TIMEOUT_MS)
  const refused = found.topics.find(topic => topic.error?.reason === "AuthFailed")
  if (refused?.error !== undefined) throw refused.error
  const there = found.topics.filter(topic => topic.error === undefined && topic.partitions.length > 0)
  return new Map(there.map(topic => [topic.topic, topic.partitions.length]))
}

/** The broker answers before they are gone, and one of that name cannot be made until then. */
const untilGone = (admin: Admin, topics: readonly string[]): Effect.Effect<void, LogError> =>
  attemptWith(admin, "read metadata", () => admin.metadata(topics, METADATA_TIMEOUT_MS)).pipe(
    Effect.flatMap(found =>
      found.topics.some(topic => topic.error === undefined && topic.partitions.length > 0)
        ? Effect.fail(new LogError("Retry", `${topics.join(", ")} are not deleted yet`))
        : Effect.void
    ),
    Effect.retry({ ...GONE, while: error => error.failure === "Retry" })
  )

/** Another lane may have been quicker. */
const createUnlessThere = async (admin: Admin, topic: TopicSpec): Promise<void> => {
  try {
    await admin.createTopics([topic], METADATA_TIMEOUT_MS)
  } catch (error) {
    if (!(error instanceof KafkaError) || error.reason !== "TopicExists") throw error
  }
}

const deleteIfThere = async (admin: Admin, topic: string): Promise<void> => {
  try {
    await admin.deleteTopics([topic], METADATA_TIMEOUT_MS)
  } catch (error) {
    if (!(error instanceof KafkaError) || error.reason !== "UnknownTopic") throw error
  }
}
