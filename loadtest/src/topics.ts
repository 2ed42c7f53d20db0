import { Admin } from "@headrace/kafka"
import { Effect } from "effect"
import { type LoadError, loadError } from "./error.ts"
import type { LoadOptions } from "./options.ts"
import { TOPICS } from "./scenarios/payments/topics.ts"

const TIMEOUT_MS = 10_000

type TopicOptions = Pick<LoadOptions, "kafka" | "partitions" | "replication">

/** Creates the scenario's topics where they are missing. Needed before the pipeline starts, since it reads one. */
export const ensureTopics = (options: TopicOptions): Effect.Effect<void, LoadError> =>
  withAdmin(options, async admin => {
    const there = await partitionsOf(admin, Object.values(TOPICS))
    const missing = Object.values(TOPICS).filter(topic => !there.has(topic))
    if (missing.length > 0)
      await admin.createTopics(
        missing.map(topic => newTopic(topic, options)),
        TIMEOUT_MS
      )
  })

/** How many partitions the scenario's topics have; fails where they differ or are missing. */
export const readPartitions = (options: TopicOptions): Effect.Effect<number, LoadError> =>
  withAdmin(options, async admin => {
    const counts = await partitionsOf(admin, Object.values(TOPICS))
    const missing = Object.values(TOPICS).filter(topic => !counts.has(topic))
    if (missing.length > 0) throw new Error(`there is no topic ${missing.join(", ")}: create them (ensureTopics does)`)
    const [first] = counts.values()
    if ([...counts.values()].some(count => count !== first)) {
      throw new Error(`the topics ${[...counts.keys()].join(", ")} must have the same number of partitions`)
    }
    return first!
  })

const newTopic = (topic: string, { partitions, replication }: TopicOptions) => ({
  topic,
  partitions,
  replication,
  config: {}
})

const partitionsOf = async (admin: Admin, topics: readonly string[]): Promise<ReadonlyMap<string, number>> => {
  const { topics: found } = await admin.metadata(topics, TIMEOUT_MS)
  const there = found.filter(topic => topic.error === undefined && topic.partitions.length > 0)
  return new Map(there.map(({ topic, partitions }) => [topic, partitions.length]))
}

const withAdmin = <A>({ kafka }: TopicOptions, use: (admin: Admin) => Promise<A>): Effect.Effect<A, LoadError> =>
  Effect.acquireUseRelease(
    Effect.try({
      try: () => Admin.open({ ...kafka.settings, "bootstrap.servers": kafka.bootstrap }),
      catch: cause => loadError(`cannot connect to Kafka at ${kafka.bootstrap}`, cause)
    }),
    admin =>
      Effect.tryPromise({
        try: () => use(admin),
        catch: cause => loadError(`cannot prepare the topics at ${kafka.bootstrap}`, cause)
      }),
    admin => Effect.promise(() => admin.close())
  )
