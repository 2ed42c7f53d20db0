import {
  type CommittedLog,
  type CommittedLogOptions,
  CommittedLogs,
  type KafkaConfig,
  LogError,
  type Mark,
  type Polled,
  type TopicPartition
} from "@headrace/engine"
import { Effect, Layer, Scope, Semaphore } from "effect"
import { endsOf, marksOf } from "./committed.ts"
import { Consumer, type ConsumerEvent } from "./consumer.ts"
import { groupSettings, SOURCE_DEFAULTS } from "./defaults.ts"
import { KafkaError } from "./error.ts"
import { memberPolling, polling } from "./polling.ts"
import { attempt, attemptSync, letGo } from "./port-error.ts"
import { rangeOf } from "./range.ts"
import { clusterSettings, signIn } from "./sign-in.ts"
import { claimUnowned } from "./unowned.ts"

const ARENA_RECORDS = 16_384
const CALL_TIMEOUT_MS = 10_000
const POLL_MS = 500
/** In place of a time, as ListOffsets has it: the end. */
const LATEST = -1
/** A range that does not come within this much time without a record: the broker is away. */
const QUIET_LIMIT_MS = 30_000

type Config = typeof KafkaConfig.Type

/** Committed topics for sinks, on librdkafka. */
export const kafkaCommittedLogs = (config: Config): Layer.Layer<CommittedLogs> =>
  Layer.succeed(CommittedLogs, CommittedLogs.of({ open: options => openCommittedLog(config, options) }))

/** A member of a sink's group. Offsets are committed by the sink alone, and never reset by the client. */
export const openCommittedLog = (
  config: Config,
  options: CommittedLogOptions
): Effect.Effect<CommittedLog, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const settings = sinkSettings(config, options)
    const consumer = yield* openConsumer(config, settings)
    yield* attempt(`subscribe to ${options.topic}`, () => consumer.subscribe([options.topic]))
    yield* claimUnowned(consumer, config, { ...options, topics: [options.topic] })
    const one = yield* Semaphore.make(1)
    const whenAsked = (settings: Record<string, string>) =>
      Effect.cached(Scope.provide(openConsumer(config, settings), scope))
    const openReader = yield* whenAsked(readerSettings(config))
    const openEverything = yield* whenAsked(everythingSettings(config))
    return {
      ...member(consumer, memberPolling(consumer, ARENA_RECORDS, settings)),
      range: partition => Effect.flatMap(openEverything, everything => rangeOf(everything, consumer, partition)),
      read: (from, last, visit) =>
        one.withPermit(Effect.flatMap(openReader, reader => readRange(reader, from, from.offset, last, visit)))
    }
  })

export const openConsumer = (config: Config, settings: Record<string, string>) =>
  Effect.acquireRelease(
    attemptSync("open a consumer", () => Consumer.open(settings, signIn(config))),
    opened => letGo("close a consumer", () => opened.close(CALL_TIMEOUT_MS))
  )

const common = (config: Config): Record<string, string> => ({
  ...SOURCE_DEFAULTS,
  // A sink takes blocks of half a second: fewer, larger fetches, and a smaller queue, cost less.
  "fetch.wait.max.ms": "50",
  "fetch.min.bytes": "65536",
  "queued.max.messages.kbytes": "16384",
  ...clusterSettings(config),
  "isolation.level": "read_committed",
  "enable.auto.commit": "false",
  "enable.auto.offset.store": "false",
  "auto.offset.reset": "error"
})

export const sinkSettings = (config: Config, options: CommittedLogOptions): Record<string, string> => ({
  ...common(config),
  // librdkafka 2.12 moves a position beyond an end that it reports: a pause then loses a record.
  "enable.partition.eof": "false",
  ...groupSettings(config.settings, options)
})

export const readerSettings = (config: Config): Record<string, string> => ({
  ...common(config),
  "group.id": "headrace-recovery-reader",
  "enable.partition.eof": "true"
})

/** Where a log begins is asked by who reads all of it: see `rangeOf`. */
export const everythingSettings = (config: Config): Record<string, string> => ({
  ...readerSettings(config),
  "isolation.level": "read_uncommitted"
})

const member = (consumer: Consumer, poll: CommittedLog["poll"]): Omit<CommittedLog, "read" | "range"> => ({
  poll,
  assign: positions => attempt("assign partitions", () => consumer.assign(positions)),
  unassign: partitions => attempt("give partitions back", () => consumer.unassign(partitions)),
  seek: positions => attempt("seek", () => consumer.seek(positions, CALL_TIMEOUT_MS)),
  pause: partitions => attempt("pause partitions", () => consumer.pause(partitions)),
  resume: partitions => attempt("resume partitions", () => consumer.resume(partitions)),
  committed: partitions =>
    Effect.flatMap(
      attempt("read committed offsets", () => consumer.committed(partitions, CALL_TIMEOUT_MS)),
      marksOf
    ),
  commit: marks => commit(consumer, marks),
  ends: partitions => endsBy(consumer, partitions, CALL_TIMEOUT_MS)
})

/** What an end is depends on who asks: to a consumer that reads committed it is the last stable offset. */
export const endsBy = (
  consumer: Consumer,
  partitions: readonly TopicPartition[],
  timeoutMs: number
): ReturnType<CommittedLog["ends"]> => {
  const latest = partitions.map(one => ({ ...one, timestampMs: LATEST }))
  const asked = attempt("read the ends of partitions", () => consumer.offsetsForTimes(latest, timeoutMs))
  return Effect.flatMap(asked, endsOf)
}

const commit = (consumer: Consumer, marks: readonly Mark[]): Effect.Effect<void, LogError> =>
  attempt("commit the plan", () => consumer.commit(marks, CALL_TIMEOUT_MS)).pipe(
    Effect.mapError(error => (movedOn(error.cause) ? new LogError("Fenced", error.message, { cause: error }) : error))
  )

/** The member is not known to the group in this generation any more. */
const movedOn = (cause: unknown): boolean => cause instanceof KafkaError && cause.reason === "IllegalGeneration"

/** Reads on from `offset` until `last` was handed over, or the log says that nothing is left before it. */
export const readRange = <E>(
  consumer: Consumer,
  partition: TopicPartition,
  offset: number,
  last: number,
  visit: Parameters<CommittedLog["read"]>[2] extends (batch: infer B) => unknown
    ? (batch: B) => Effect.Effect<void, E>
    : never
): Effect.Effect<void, LogError | E> =>
  Effect.gen(function* () {
    const where = `${partition.topic}[${partition.partition}]`
    yield* attempt(`read ${where} again`, () => consumer.assign([{ ...partition, offset }]))
    const poll = polling(consumer, ARENA_RECORDS)
    let quietSince = performance.now()
    for (let reached = -1; reached < last; ) {
      const { batch, events } = yield* poll(`read ${where} again`, ARENA_RECORDS, POLL_MS)
      yield* visit(batch)
      reached = Math.max(lastOf(batch), ...events.map(endOf), reached)
      if (batch.count > 0) quietSince = performance.now()
      else if (performance.now() - quietSince > QUIET_LIMIT_MS)
        return yield* Effect.fail(
          new LogError("Retry", `Cannot read ${where} again: no answer in ${QUIET_LIMIT_MS} ms`)
        )
    }
  }).pipe(Effect.ensuring(Effect.ignore(attempt("end reading", () => consumer.unassign([partition])))))

const lastOf = ({ count, stamps }: Polled["batch"]): number => (count === 0 ? -1 : stamps[(count - 1) * 2]!)

/** What the end of the log says: everything before was handed over. */
const endOf = (event: ConsumerEvent): number => (event.type === "end" ? event.offset - 1 : -1)
