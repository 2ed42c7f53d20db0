import {
  type GroupChange,
  type KafkaConfig,
  LogError,
  type Membership,
  type Polled,
  type Position,
  type SourceOptions,
  type TopicPartition
} from "@headrace/engine"
import { Effect, Schedule, type Scope } from "effect"
import { Arena } from "./arena.ts"
import { Consumer, type ConsumerEvent } from "./consumer.ts"
import { groupSettings, SOURCE_DEFAULTS } from "./defaults.ts"
import { KafkaError } from "./error.ts"
import { attempt, attemptSync, logError } from "./port-error.ts"

/** Records of a batch: room for a poll's worth of small ones; a larger record makes the arena grow. */
const ARENA_BYTES = 4 << 20
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
      attemptSync("open a consumer", () => Consumer.open(settings(config, options))),
      opened => Effect.promise(() => opened.close(CALL_TIMEOUT_MS))
    )
    yield* attempt(`subscribe to ${options.topics.join(", ")}`, () => consumer.subscribe(options.topics))
    return membership(consumer)
  })

const settings = (config: typeof KafkaConfig.Type, options: SourceOptions): Record<string, string> => ({
  ...SOURCE_DEFAULTS,
  ...config.settings,
  ...groupSettings(config.settings, options),
  "bootstrap.servers": config.bootstrap,
  "isolation.level": "read_committed",
  "enable.auto.commit": "false",
  "enable.auto.offset.store": "false",
  "auto.offset.reset": "error"
})

const membership = (consumer: Consumer): Membership => {
  const arenas = [new Arena(ARENA_BYTES, ARENA_RECORDS), new Arena(ARENA_BYTES, ARENA_RECORDS)]
  let turn = 0

  /** The batch before this one may still be worked on, so the other arena is filled. */
  const poll = async (maxRecords: number, timeoutMs: number): Promise<Polled> => {
    turn = 1 - turn
    const arena = arenas[turn]!
    try {
      const { count, events } = await consumer.poll(arena, Math.min(maxRecords, ARENA_RECORDS), timeoutMs)
      const { bytes, index, stamps } = arena
      return { batch: { bytes, index, stamps, count }, changes: events.flatMap(groupChange) }
    } catch (cause) {
      if (!(cause instanceof KafkaError) || cause.reason !== "ArenaTooSmall") throw cause
      arenas[turn] = new Arena(Math.max(cause.needed ?? 0, arena.bytes.length * 2), ARENA_RECORDS)
      return poll(maxRecords, 0)
    }
  }

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
      Effect.retry({ schedule: unstable, while: error => error.failure !== "Stop" })
    )

  return {
    topic: id => consumer.topic(id),
    poll: (maxRecords, timeoutMs) => attempt("poll", () => poll(maxRecords, timeoutMs)),
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
    member: consumer,
    close: attempt("leave the group", () => consumer.close(CALL_TIMEOUT_MS))
  }
}

/** Group changes go to the lane. An error that the client mends by itself is logged by the client; others end the poll. */
const groupChange = (event: ConsumerEvent): readonly GroupChange[] => {
  switch (event.type) {
    case "assign":
    case "revoke":
    case "lost":
      return [{ type: event.type, partitions: event.partitions }]
    case "error":
      if (event.error.fatal) throw event.error
      if (event.error.reason === "OffsetOutOfRange") throw outOfRange(event)
      return []
    default:
      return []
  }
}

const outOfRange = (event: Extract<ConsumerEvent, { type: "error" }>): LogError => {
  const where = event.partition === undefined ? "a partition" : `${event.partition.topic}/${event.partition.partition}`
  return new LogError(
    "Stop",
    `The committed offset of ${where} is no longer in the log: records were removed before they were processed. ` +
      "Set the group's offset to where to go on from, and lengthen the topic's retention."
  )
}
