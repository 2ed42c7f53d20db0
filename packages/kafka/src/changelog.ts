import {
  type Batch,
  type ChangelogReader,
  type KafkaConfig,
  LogError,
  nameOf,
  STRIDE,
  type TopicPartition,
  VALUE_LENGTH,
  VALUE_START
} from "@headrace/engine"
import { Effect, Exit, Fiber, Pool, Scope } from "effect"
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
    const readers = yield* openReaders(config)
    // What the broker calls the end depends on who asks.
    const uncommitted = yield* openConsumer(config, "read_uncommitted")
    const early = new EarlyReads()
    const read: ChangelogReader["read"] = (partition, offset, record, between) =>
      Effect.gen(function* () {
        const from = offset === "beginning" ? 0 : offset
        const one = yield* early.take(partition, from)
        const anew = begin(readers, partition, from)
        const { reader, start, stable } = yield* one === undefined
          ? anew
          : Effect.catch(takenUp(one, partition), () => Effect.andThen(Scope.close(one.scope, Exit.void), anew))
        if (start > from) return { start, end: from }
        const end = yield* readToEnd(reader.poll, partition, record, between, stable).pipe(
          Effect.tapError(() => Pool.invalidate(readers, reader))
        )
        return { start, end }
      }).pipe(Effect.scoped)
    return {
      read,
      ahead: (partition, from) => early.begin(partition, from, begin(readers, partition, from)),
      written: ({ topic, partition }) =>
        attempt(`ask for the end of the changelog ${topic}/${partition}`, () =>
          uncommitted.watermarkOffsets(topic, partition, CALL_TIMEOUT_MS)
        ).pipe(Effect.map(({ high }) => high)),
      stable: partition =>
        Pool.get(readers).pipe(
          Effect.flatMap(reader => rangeIn(reader, partition)),
          Effect.map(({ high }) => high),
          Effect.scoped
        )
    }
  })

interface Reader {
  readonly consumer: Consumer
  readonly poll: ReturnType<typeof polling>
}
type Readers = Pool.Pool<Reader, LogError>

const openReaders = (config: typeof KafkaConfig.Type): Effect.Effect<Readers, never, Scope.Scope> =>
  Pool.makeWithTTL({
    acquire: Effect.map(openConsumer(config, "read_committed"), consumer => ({
      consumer,
      poll: polling(consumer, ARENA_RECORDS)
    })),
    min: 0,
    max: READERS,
    timeToLive: IDLE_READER
  })

/** A reader that has a partition, where the log begins, and what is stable of it at least. */
interface Begun {
  readonly reader: Reader
  readonly start: number
  readonly stable: number
}

/** A reader to which the broker hands over the partition from there on, unless its start is behind that. */
const begin = (
  readers: Readers,
  partition: TopicPartition,
  from: number
): Effect.Effect<Begun, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const what = whatOf(partition)
    const reader = yield* Pool.get(readers)
    const { consumer } = reader
    const { low: start } = yield* rangeIn(reader, partition)
    if (start > from) return { reader, start, stable: from }
    yield* Effect.addFinalizer(() => Effect.ignore(attempt(what, () => consumer.unassign([partition]))))
    yield* attempt(what, () => consumer.assign([{ ...partition, offset: from }]))
    return { reader, start, stable: from }
  })

/** What was begun early is over when this is. It may be old: where the log begins and what is stable is asked for again. */
const takenUp = ({ begun, scope }: Early, partition: TopicPartition): Effect.Effect<Begun, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.addFinalizer(exit => Scope.close(scope, exit))
    const { reader } = yield* Fiber.join(begun)
    const { low: start, high: stable } = yield* rangeIn(reader, partition)
    return { reader, start, stable }
  })

const rangeIn = ({ consumer }: { readonly consumer: Consumer }, partition: TopicPartition) =>
  attempt(whatOf(partition), () => consumer.watermarkOffsets(partition.topic, partition.partition, CALL_TIMEOUT_MS))

/** A partition that is fetched before anybody has asked for it. */
interface Early {
  readonly from: number
  readonly begun: Fiber.Fiber<Begun, LogError>
  /** Of its reader. */
  readonly scope: Scope.Closeable
}

/** At most one of each partition; each until it is taken, or who wanted it is gone. */
class EarlyReads {
  private readonly byName = new Map<string, Early>()

  begin(
    partition: TopicPartition,
    from: number,
    begin: Effect.Effect<Begun, LogError, Scope.Scope>
  ): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      yield* this.take(partition, Number.NaN)
      const name = nameOf(partition)
      const scope = yield* Scope.fork(yield* Effect.scope)
      const begun = yield* Effect.forkIn(Scope.provide(begin, scope), scope)
      const one = { from, begun, scope }
      this.byName.set(name, one)
      yield* Scope.addFinalizer(
        scope,
        Effect.sync(() => {
          if (this.byName.get(name) === one) this.byName.delete(name)
        })
      )
    })
  }

  /** What was begun for this partition, which is nobody else's any more; what was begun elsewhere in it is of no use. */
  take(partition: TopicPartition, from: number): Effect.Effect<Early | undefined> {
    return Effect.suspend(() => {
      const name = nameOf(partition)
      const one = this.byName.get(name)
      this.byName.delete(name)
      return one === undefined || one.from === from
        ? Effect.succeed(one)
        : Effect.as(Scope.close(one.scope, Exit.void), undefined)
    })
  }
}
const whatOf = (partition: TopicPartition): string => `read the changelog ${nameOf(partition)}`

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
 * is not the end any more, and neither is one before `stable`: it was said when less was.
 */
export const readToEnd = (
  poll: ReturnType<typeof polling>,
  partition: TopicPartition,
  record: Visit,
  between: Effect.Effect<void> = Effect.void,
  stable = 0
): Effect.Effect<number, LogError> =>
  Effect.gen(function* () {
    const what = whatOf(partition)
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
      for (const event of events)
        if (isEnd(event, partition) && event.offset >= Math.max(next, stable)) return event.offset
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
