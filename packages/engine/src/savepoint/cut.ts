import { Effect, Schedule } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { changelogName, exchangeTopics, groupName, inputTopics } from "../names.ts"
import { type Admin, Clients, type GroupOffsets } from "../ports/clients.ts"
import type { ChangelogReader, LogError, TopicPartition } from "../ports/log.ts"
import { RECORD } from "../task/envelope.ts"
import { SavepointError } from "./store.ts"

/** Up to which offset the changelog of a partition is part of a savepoint. */
export type Cut = (partition: TopicPartition) => number

/** Nothing is known of other partitions: each is taken as it is when it is read. */
export const NO_CUT: Cut = () => Number.POSITIVE_INFINITY

/** How long a running job is looked at, for a moment at which it rests. */
const PATIENCE = { schedule: Schedule.spaced("250 millis"), times: 20 }

/**
 * A moment at which nothing is on its way between the stages: what one has sent, the next one has counted. Everything is
 * looked at twice, and if nothing was written in between, that is how it stood at one time. So it is for a job that has
 * come to rest; one that runs is only caught in it when little comes in.
 */
export const takeCut = (plan: Plan, job: JobConfig): Effect.Effect<Cut, LogError | SavepointError, Clients> =>
  Effect.scoped(
    Effect.gen(function* () {
      const clients = yield* Clients
      const admin = yield* clients.admin
      const all = yield* partitionsOf(admin, inputTopics(plan, job.app))
      const stages = new Set(exchangeTopics(plan, job.app))
      const look = {
        reader: yield* clients.changelog,
        group: yield* clients.offsets(groupName(job)),
        logs: all.map(({ topic, partition }) => ({ topic: changelogName(job.app, topic), partition })),
        stages: all.filter(({ topic }) => stages.has(topic))
      }
      const ends = yield* Effect.retry(atRest(job.app, look), PATIENCE)
      return ({ topic, partition }) =>
        ends[all.findIndex(one => one.topic === topic && one.partition === partition)] ?? 0
    })
  )

interface Look {
  readonly reader: ChangelogReader
  readonly group: GroupOffsets
  readonly logs: readonly TopicPartition[]
  readonly stages: readonly TopicPartition[]
}

/** The ends of the changelogs. Fails where the job does not rest. */
const atRest = (app: string, look: Look) =>
  Effect.gen(function* () {
    const { reader, group, logs, stages } = look
    const ends = () => Effect.forEach([...logs, ...stages], one => reader.written(one))
    const before = yield* ends()
    const open = yield* Effect.forEach(logs, (log, i) => Effect.map(group.range(log), ({ end }) => end < before[i]!))
    const committed = yield* group.committed(stages)
    const unread = yield* Effect.forEach(stages, (stage, i) => recordsFrom(reader, stage, committed[i] ?? 0))
    const after = yield* ends()
    const place = unread.findIndex(count => count > 0)
    if (place >= 0) {
      const { topic, partition } = stages[place]!
      return yield* restless(app, `${unread[place]} records of ${topic}/${partition} were not read yet`)
    }
    if (open.includes(true) || after.some((end, i) => end !== before[i]))
      return yield* restless(app, "it was committing")
    return before
  })

/** Watermarks and the like do not count: they are said again. */
const recordsFrom = (reader: ChangelogReader, partition: TopicPartition, offset: number) =>
  Effect.suspend(() => {
    let count = 0
    const visit: Parameters<ChangelogReader["read"]>[2] = (_, bytes, start) => {
      if (bytes[start] === RECORD) count++
      return true
    }
    return Effect.map(reader.read(partition, offset, visit), () => count)
  })

const restless = (app: string, what: string) =>
  new SavepointError({
    message:
      `${app} has several stages, and something is always on its way between them (${what}): no savepoint can be taken of that. ` +
      "Ask the job itself, which sees to that: headrace savepoint create --url http://… (--stop: and ends), after a start if it does not run"
  })

export const partitionsOf = (
  admin: Admin,
  topics: readonly string[]
): Effect.Effect<readonly TopicPartition[], LogError> =>
  Effect.map(admin.partitions(topics), found =>
    topics.flatMap(topic => Array.from({ length: found.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })))
  )
