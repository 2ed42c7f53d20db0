import {
  type Batch,
  type ChangelogReader,
  type KafkaConfig,
  LogError,
  STRIDE,
  type TopicPartition,
  VALUE_LENGTH,
  VALUE_START
} from "@headrace/engine"
import { Effect, Pool, type Scope } from "effect"
import { Consumer, type ConsumerEvent } from "./consumer.ts"
import { SOURCE_DEFAULTS } from "./defaults.ts"
import { polling } from "./polling.ts"
import { attempt, attemptSync, letGo } from "./port-error.ts"
import { clusterSettings, signIn } from "./sign-in.ts"

const ARENA_RECORDS = 4096
const POLL_TIMEOUT_MS = 1_000
const CALL_TIMEOUT_MS = 10_000
/** A changelog whose end does not come within this much time without a record: the broker is away. */
const QUIET_LIMIT_MS = 30_000
/** Partitions that are read at a time: each has a consumer, which stays for the next one for a while. */
const READERS = 4
const IDLE_READER = "10 seconds"
/** What is handed over between two breaths: a few milliseconds of work. */
const SLICE_BYTES = 1 << 16

type Visit = Parameters<ChangelogReader["read"]>[2]

/** Reads changelog partitions, some at a time, through consumers without a group. */
export const openChangelog = (config: typeof KafkaConfig.Type): Effect.Effect<ChangelogReader, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const readers = yield* Pool.makeWithTTL({
      acquire: Effect.map(openConsumer(config, "read_committed"), consumer => ({
        consumer,
        poll: polling(consumer, ARENA_RECORDS)
      })),
      min: 0,
      max: READERS,
      timeToLive: IDLE_READER
    })
    // What the broker calls the end depends on who asks.
    const uncommitted = yield* openConsumer(config, "read_uncommitted")
    const read: ChangelogReader["read"] = (partition, offset, record, between) => {
      const what = `read the changelog ${partition.topic}/${partition.partition}`
      return Effect.gen(function* () {
        const reader = yield* Pool.get(readers)
        const { consumer, poll } = reader
        const { low: start } = yield* attempt(what, () =>
          consumer.watermarkOffsets(partition.topic, partition.partition, CALL_TIMEOUT_MS)
        )
        const from = offset === "beginning" ? 0 : offset
        if (start > from) return { start, end: from }
        yield* attempt(what, () => consumer.assign([{ ...partition, offset: from }]))
        const end = yield* readToEnd(poll, partition, record, between).pipe(
          Effect.ensuring(Effect.ignore(attempt(what, () => consumer.unassign([partition])))),
          Effect.tapError(() => Pool.invalidate(readers, reader))
        )
        return { start, end }
      }).pipe(Effect.scoped)
    }
    const written: ChangelogReader["written"] = ({ topic, partition }) =>
      attempt(`ask for the end of the changelog ${topic}/${partition}`, () =>
        uncommitted.watermarkOffsets(topic, partition, CALL_TIMEOUT_MS)
      ).pipe(Effect.map(({ high }) => high))
    return { read, written }
  })

const openConsumer = (config: typeof KafkaConfig.Type, isolation: Isolation) =>
  Effect.acquireRelease(
    attemptSync("open a changelog reader", () => Consumer.open(changelogSettings(config, isolation), signIn(config))),
    opened => letGo("close a changelog reader", () => opened.close(CALL_TIMEOUT_MS))
  )

type Isolation = "read_committed" | "read_uncommitted"

export const changelogSettings = (config: typeof KafkaConfig.Type, isolation: Isolation): Record<string, string> => ({
  ...SOURCE_DEFAULTS,
  // There are several of them, and the state that is restored needs the memory.
  "queued.max.messages.kbytes": "16384",
  ...clusterSettings(config),
  "group.id": "headrace-changelog-reader",
  "isolation.level": isolation,
  "enable.partition.eof": "true",
  "enable.auto.commit": "false",
  "auto.offset.reset": "error"
})

/**
 * Polls until the client says that the last stable offset is reached, or `record` that it has enough, and answers with
 * where that is. A poll does not tell in which order ends and records came: an end that records were handed over behind
 * is not the end any more.
 */
export const readToEnd = (
  poll: ReturnType<typeof polling>,
  partition: TopicPartition,
  record: Visit,
  between: Effect.Effect<void> = Effect.void
): Effect.Effect<number, LogError> =>
  Effect.gen(function* () {
    const what = `read the changelog ${partition.topic}/${partition.partition}`
    let next = 0
    let quietSince = performance.now()
    while (performance.now() - quietSince < QUIET_LIMIT_MS) {
      const { batch, events } = yield* poll(what, ARENA_RECORDS, POLL_TIMEOUT_MS)
      for (let done = 0; done < batch.count; ) {
        const slice = yield* attemptSync(what, () => handOver(batch, done, record))
        done = slice.done
        next = batch.stamps[(done - 1) * 2]! + 1
        if (slice.enough) return next
        yield* between
      }
      for (const event of events) if (isEnd(event, partition) && event.offset >= next) return event.offset
      if (batch.count > 0) quietSince = performance.now()
    }
    return yield* Effect.fail(new LogError("Retry", `Cannot ${what}: no end of it within ${QUIET_LIMIT_MS} ms`))
  })

/** The consumer has read other partitions before. */
const isEnd = (event: ConsumerEvent, { topic, partition }: TopicPartition): event is EndEvent =>
  event.type === "end" && event.topic === topic && event.partition === partition
type EndEvent = Extract<ConsumerEvent, { type: "end" }>

/** Hands over some records, from number `first` on: up to which one, and whether that was enough of them. */
const handOver = ({ bytes, index, stamps, count }: Batch, first: number, record: Visit) => {
  let size = 0
  for (let i = first; i < count; i++) {
    const start = index[i * STRIDE + VALUE_START]!
    const length = index[i * STRIDE + VALUE_LENGTH]!
    if (!record(stamps[i * 2]!, bytes, start, start + length)) return { done: i + 1, enough: true }
    size += length
    if (size >= SLICE_BYTES) return { done: i + 1, enough: false }
  }
  return { done: count, enough: false }
}
