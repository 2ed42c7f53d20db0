import { Effect, Schedule } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { changelogName, exchangeTopics, of, sinkTopics, sourceTopics } from "../names.ts"
import { type Admin, Clients, type NewTopic } from "../ports/clients.ts"
import { LogError } from "../ports/log.ts"

/** How often a broker or topic that is not there yet is asked for again. */
const PATIENCE = Schedule.spaced("2 seconds")

/**
 * Before the lanes start: waits for the brokers and the source topics, and makes the topics that the job writes to, those
 * between its stages and its changelogs where they are missing. What is between stages, and changelogs, is never compacted
 * and never expires: only checkpoints trim it. Answers with how many partitions each of all these topics has.
 */
export const prepareTopics = (
  plan: Plan,
  job: JobConfig
): Effect.Effect<ReadonlyMap<string, number>, LogError, Clients> =>
  Effect.scoped(
    Effect.gen(function* () {
      const admin = yield* Effect.flatMap(Clients, clients => clients.admin)
      yield* makeSources(plan, job, admin)
      const sources = yield* sourcePartitions(admin, sourceTopics(plan))
      const most = Math.max(...sources.values())
      const stages = exchangeTopics(plan, job.app).map(topic => internalTopic(job, topic, most))
      // One that is there already keeps the partitions that it has.
      const stagesThere = yield* admin.partitions(stages.map(({ topic }) => topic))
      const inputs = [
        ...sources,
        ...stages.map(({ topic }): [string, number] => [topic, stagesThere.get(topic) ?? most])
      ]
      const changelogs = inputs.map(([topic, partitions]) => changelogTopic(job, topic, partitions))
      const sinks = sinkTopics(plan).map(topic => ({
        topic,
        partitions: most,
        replication: job.replication,
        config: {}
      }))
      const wanted = [...stages, ...changelogs, ...sinks]
      const there = yield* admin.partitions(wanted.map(topic => topic.topic))
      const missing = wanted.filter(topic => !there.has(topic.topic))
      if (missing.length > 0) yield* Effect.logInfo(`Creating topics: ${missing.map(topic => topic.topic).join(", ")}`)
      yield* admin.create(missing)
      for (const { topic, partitions } of changelogs) yield* checkPartitions(topic, partitions, there.get(topic))
      return new Map([
        ...sources,
        ...wanted.map(({ topic, partitions }): [string, number] => [topic, there.get(topic) ?? partitions])
      ])
    })
  )

/** Never compacted and never expiring: only checkpoints trim it. */
export const INTERNAL_SETTINGS = { "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1" }

export const changelogTopic = (job: JobConfig, input: string, partitions: number): NewTopic =>
  internalTopic(job, changelogName(job.app, input), partitions)

/** One that only this job reads and writes. */
export const internalTopic = ({ replication }: JobConfig, topic: string, partitions: number): NewTopic => ({
  topic,
  partitions,
  replication,
  config: INTERNAL_SETTINGS
})

/** Topics that belong to the job, though others write to them: of one partition, unless somebody makes them first. */
const makeSources = Effect.fnUntraced(function* (plan: Plan, { replication }: JobConfig, admin: Admin) {
  const own = of(plan, "source").flatMap(({ topic, made }) =>
    made === undefined ? [] : [{ topic, partitions: 1, replication, config: made }]
  )
  const there = yield* admin.partitions(own.map(({ topic }) => topic))
  yield* admin.create(own.filter(({ topic }) => !there.has(topic)))
})

const sourcePartitions = (
  admin: Admin,
  topics: readonly string[]
): Effect.Effect<ReadonlyMap<string, number>, LogError> =>
  admin.partitions(topics).pipe(
    Effect.flatMap(found => {
      const missing = topics.filter(topic => !found.has(topic))
      return missing.length === 0
        ? Effect.succeed(found)
        : Effect.fail(
            new LogError(
              "Retry",
              `Topic ${missing.join(", ")} does not exist. Waiting; create it or correct its name in the pipeline.`
            )
          )
    }),
    Effect.tapError(error => Effect.logWarning(error.message)),
    Effect.retry({ schedule: PATIENCE, while: error => error.failure !== "Stop" })
  )

const checkPartitions = (topic: string, expected: number, found: number | undefined): Effect.Effect<void, LogError> =>
  found === undefined || found === expected
    ? Effect.void
    : Effect.fail(
        new LogError(
          "Stop",
          `${topic} has ${found} partitions, but its source now has ${expected}: state would go to the wrong place. Give the source its ${found} partitions back, or start under another app name.`
        )
      )
