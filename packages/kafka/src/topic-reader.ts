import { type Batch, type KafkaConfig, LogError, type Position, type TopicPartition } from "@headrace/engine"
import { Effect, type Scope } from "effect"
import { everythingSettings, openConsumer, readerSettings } from "./committed-log.ts"
import type { ConsumerEvent } from "./consumer.ts"
import { polling } from "./polling.ts"
import { attempt } from "./port-error.ts"
import { type Range, rangeOf } from "./range.ts"

const CALL_TIMEOUT_MS = 10_000
const POLL_MS = 1_000
const QUIET_LIMIT_MS = 30_000
const ARENA_RECORDS = 16_384

/** The committed records of topics, as they were recorded: some of one partition at a time, in no group. */
export interface TopicReader {
  /** The first offset that is still there, and the last stable one. */
  readonly range: (partition: TopicPartition) => Effect.Effect<Range, LogError>
  /** Where the first record of at least this time stands, by the log's own times; undefined where there is none. */
  readonly offsetAt: (partition: TopicPartition, timestampMs: number) => Effect.Effect<number | undefined, LogError>
  /** What comes from a position on, and where that goes on. No records: the end. The batch is valid until the call after next. */
  readonly some: (from: Position) => Effect.Effect<{ readonly batch: Batch; readonly next: number }, LogError>
}

export const openTopicReader = (config: typeof KafkaConfig.Type): Effect.Effect<TopicReader, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const consumer = yield* openConsumer(config, readerSettings(config))
    const everything = yield* openConsumer(config, everythingSettings(config))
    const poll = polling(consumer, ARENA_RECORDS)
    /** Where the consumer goes on by itself. */
    let at: Position | undefined
    const some = Effect.fnUntraced(function* (from: Position) {
      const what = `read ${from.topic}[${from.partition}]`
      if (!isSame(at, from)) yield* attempt(what, () => consumer.assign([from]))
      at = undefined
      const quietSince = performance.now()
      while (performance.now() - quietSince < QUIET_LIMIT_MS) {
        const { batch, events } = yield* poll(what, ARENA_RECORDS, POLL_MS)
        const behind = batch.count === 0 ? from.offset : batch.stamps[(batch.count - 1) * 2]! + 1
        const end = events.map(event => endOf(event, from)).find(offset => offset >= behind)
        if (batch.count === 0 && end === undefined) continue
        at = { ...from, offset: end ?? behind }
        return { batch, next: at.offset }
      }
      return yield* Effect.fail(new LogError("Retry", `Cannot ${what}: no answer in ${QUIET_LIMIT_MS} ms`))
    })
    return {
      range: partition => rangeOf(everything, consumer, partition),
      offsetAt: (partition, timestampMs) =>
        attempt(`look up a time in ${partition.topic}[${partition.partition}]`, async () => {
          const [found] = await consumer.offsetsForTimes([{ ...partition, timestampMs }], CALL_TIMEOUT_MS)
          if (found?.error !== undefined) throw found.error
          return found === undefined || found.offset < 0 ? undefined : found.offset
        }),
      some
    } satisfies TopicReader
  })

const isSame = (a: Position | undefined, b: Position): boolean =>
  a?.topic === b.topic && a.partition === b.partition && a.offset === b.offset

/** The consumer has read other partitions before. */
const endOf = (event: ConsumerEvent, { topic, partition }: TopicPartition): number =>
  event.type === "end" && event.topic === topic && event.partition === partition ? event.offset : -1
