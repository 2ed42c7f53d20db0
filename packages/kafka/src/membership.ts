import type { KafkaConfig, LogError, Membership, SourceOptions, TopicPartition } from "@headrace/engine"
import { Effect, Schedule, type Scope } from "effect"
import { committedOf } from "./committed.ts"
import { endsBy } from "./committed-log.ts"
import { Consumer } from "./consumer.ts"
import { groupSettings, SOURCE_DEFAULTS } from "./defaults.ts"
import { memberPolling } from "./polling.ts"
import { attempt, attemptSync, letGo } from "./port-error.ts"
import { fullRangeOf } from "./range.ts"
import { clusterSettings, signIn } from "./sign-in.ts"
import { claimUnowned } from "./unowned.ts"

const ARENA_RECORDS = 8192
const CALL_TIMEOUT_MS = 10_000
/** Offsets of a transaction that is open somewhere are not stable yet: one partition does not hold up others for long. */
const STABLE_TIMEOUT_MS = 1_000
/** What is asked again in a few seconds anyway does not hold up who asks for a range. */
const ENDS_TIMEOUT_MS = 2_000
const unstable = Schedule.spaced("100 millis")
/** A partition that was just taken cannot be sought in before the client has begun with it: asked again, for 10 s. */
const untilBegun = Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(500)])

/**
 * A lane's member of the job's group. Offsets are never committed by the client and never reset by it: the engine
 * assigns explicit ones, and an offset that is no longer in the log is an error.
 */
export const openMembership = (
  config: typeof KafkaConfig.Type,
  options: SourceOptions
): Effect.Effect<Membership, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const settings = memberSettings(config, options)
    const consumer = yield* Effect.acquireRelease(
      attemptSync("open a consumer", () => Consumer.open(settings, signIn(config))),
      leave
    )
    yield* attempt(`subscribe to ${options.topics.join(", ")}`, () => consumer.subscribe(options.topics))
    yield* claimUnowned(consumer, config, options)
    const asker = (isolation: Isolation) =>
      Effect.acquireRelease(
        attemptSync("open a consumer", () => Consumer.open(askerSettings(config, options, isolation), signIn(config))),
        opened => letGo("close a consumer", () => opened.close(CALL_TIMEOUT_MS))
      )
    // They connect, and find the group's coordinator, while the member joins.
    return membership(consumer, memberPolling(consumer, ARENA_RECORDS, settings), {
      read_committed: yield* asker("read_committed"),
      read_uncommitted: yield* asker("read_uncommitted")
    })
  })

export const memberSettings = (config: typeof KafkaConfig.Type, options: SourceOptions): Record<string, string> => ({
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

/** Asks about the group without being in it: an answer that takes its time would hold up the member's polls. */
export const askerSettings = (
  config: typeof KafkaConfig.Type,
  options: SourceOptions,
  isolation: Isolation
): Record<string, string> => ({
  ...SOURCE_DEFAULTS,
  ...clusterSettings(config),
  "group.id": options.group,
  "client.id": `${options.member}-asker`,
  "isolation.level": isolation,
  "enable.auto.commit": "false"
})

type Isolation = "read_committed" | "read_uncommitted"
type Askers = Readonly<Record<Isolation, Consumer>>

const leave = (consumer: Consumer): Effect.Effect<void> =>
  letGo("leave the group", () => consumer.close(CALL_TIMEOUT_MS))

const membership = (consumer: Consumer, poll: Membership["poll"], askers: Askers): Membership => {
  const committed = (partitions: readonly TopicPartition[]) =>
    attempt("read committed offsets", () => askers.read_committed.committed(partitions, STABLE_TIMEOUT_MS)).pipe(
      Effect.flatMap(committedOf),
      Effect.map(found => found.map(one => one?.offset)),
      // Offsets of a transaction that is about to end are not stable yet; the coordinator may be moving.
      Effect.tapError(error => Effect.logWarning(error.message)),
      Effect.retry({ schedule: unstable, while: error => error.failure !== "Stop" && error.failure !== "Gone" })
    )

  return {
    topic: id => consumer.topic(id),
    poll,
    take: partitions => attempt("take partitions", () => consumer.take(partitions)),
    pause: partitions => attempt("pause partitions", () => consumer.pause(partitions)),
    seek: positions =>
      attempt("read on", () => consumer.readFrom(positions, CALL_TIMEOUT_MS)).pipe(
        Effect.retry({ schedule: untilBegun, while: error => error.failure === "Retry" })
      ),
    unassign: partitions => attempt("give partitions back", () => consumer.unassign(partitions)),
    committed,
    range: partition => fullRangeOf(askers.read_uncommitted, partition),
    ends: partitions => endsBy(askers.read_uncommitted, partitions, ENDS_TIMEOUT_MS),
    knownEnd: ({ topic, partition }) => consumer.knownEnd(topic, partition),
    member: consumer,
    close: leave(consumer)
  }
}
