import type { KafkaConfig, LogError, Membership, Position, SourceOptions, TopicPartition } from "@headrace/engine"
import { Effect, Schedule, type Scope } from "effect"
import { Consumer } from "./consumer.ts"
import { groupSettings, SOURCE_DEFAULTS } from "./defaults.ts"
import { polledOf, polling } from "./polling.ts"
import { attempt, attemptSync, letGo, logError } from "./port-error.ts"
import { clusterSettings, signIn } from "./sign-in.ts"

const ARENA_RECORDS = 8192
const CALL_TIMEOUT_MS = 10_000
const NO_OFFSET = -1001
const unstable = Schedule.spaced("100 millis")

/**
 * A lane's member of the job's group. Offsets are never committed by the client and never reset by it: the engine
 * assigns explicit ones, and an offset that is no longer in the log is an error.
 */
export const openMembership = (
  config: typeof KafkaConfig.Type,
  options: SourceOptions
): Effect.Effect<Membership, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const consumer = yield* Effect.acquireRelease(
      attemptSync("open a consumer", () => Consumer.open(settings(config, options), signIn(config))),
      leave
    )
    yield* attempt(`subscribe to ${options.topics.join(", ")}`, () => consumer.subscribe(options.topics))
    return membership(consumer)
  })

const settings = (config: typeof KafkaConfig.Type, options: SourceOptions): Record<string, string> => ({
  ...SOURCE_DEFAULTS,
  ...clusterSettings(config),
  ...groupSettings(config.settings, options),
  "isolation.level": "read_committed",
  "enable.auto.commit": "false",
  "enable.auto.offset.store": "false",
  // librdkafka 2.12 moves a position beyond an end that it reports: a pause then loses a record.
  "enable.partition.eof": "false",
  "auto.offset.reset": "error"
})

const leave = (consumer: Consumer): Effect.Effect<void> =>
  letGo("leave the group", () => consumer.close(CALL_TIMEOUT_MS))

const membership = (consumer: Consumer): Membership => {
  const poll = polling(consumer, ARENA_RECORDS)

  const committed = (partitions: readonly TopicPartition[]) =>
    attempt("read committed offsets", () => consumer.committed(partitions, CALL_TIMEOUT_MS)).pipe(
      Effect.flatMap(found => {
        const failed = found.find(one => one.error !== undefined)
        if (failed !== undefined)
          return Effect.fail(logError(`read the committed offset of ${failed.topic}/${failed.partition}`, failed.error))
        return Effect.succeed(found.map(one => (one.offset === NO_OFFSET ? undefined : one.offset)))
      }),
      // Offsets of a transaction that is about to end are not stable yet; the coordinator may be moving.
      Effect.tapError(error => Effect.logWarning(error.message)),
      Effect.retry({ schedule: unstable, while: error => error.failure !== "Stop" && error.failure !== "Gone" })
    )

  return {
    topic: id => consumer.topic(id),
    poll: (maxRecords, timeoutMs) => Effect.map(poll("poll", maxRecords, timeoutMs), polledOf),
    assign: (positions: readonly Position[]) => attempt("assign partitions", () => consumer.assign(positions)),
    unassign: partitions => attempt("give partitions back", () => consumer.unassign(partitions)),
    seek: positions => attempt("seek", () => consumer.seek(positions, CALL_TIMEOUT_MS)),
    committed,
    range: ({ topic, partition }) =>
      Effect.map(
        attempt(`read the range of ${topic}/${partition}`, () =>
          consumer.watermarkOffsets(topic, partition, CALL_TIMEOUT_MS)
        ),
        ({ low, high }) => ({ start: low, end: high })
      ),
    knownEnd: ({ topic, partition }) => consumer.knownEnd(topic, partition),
    member: consumer,
    close: leave(consumer)
  }
}
