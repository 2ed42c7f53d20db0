import {
  type Batch,
  type ChangelogReader,
  type KafkaConfig,
  LogError,
  STRIDE,
  VALUE_LENGTH,
  VALUE_START
} from "@headrace/engine"
import { Effect, type Scope, Semaphore } from "effect"
import { Consumer } from "./consumer.ts"
import { SOURCE_DEFAULTS } from "./defaults.ts"
import { polling } from "./polling.ts"
import { attempt, attemptSync, letGo } from "./port-error.ts"
import { clusterSettings, signIn } from "./sign-in.ts"

const ARENA_RECORDS = 4096
const POLL_TIMEOUT_MS = 1_000
const CALL_TIMEOUT_MS = 10_000
/** A changelog whose end does not come within this much time without a record: the broker is away. */
const QUIET_LIMIT_MS = 30_000

/** Reads changelog partitions, one after the other, through a consumer without a group. */
export const openChangelog = (config: typeof KafkaConfig.Type): Effect.Effect<ChangelogReader, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const consumer = yield* Effect.acquireRelease(
      attemptSync("open a changelog reader", () => Consumer.open(settings(config, "read_committed"), signIn(config))),
      opened => letGo("close a changelog reader", () => opened.close(CALL_TIMEOUT_MS))
    )
    // What the broker calls the end depends on who asks.
    const uncommitted = yield* Effect.acquireRelease(
      attemptSync("open a changelog reader", () => Consumer.open(settings(config, "read_uncommitted"), signIn(config))),
      opened => letGo("close a changelog reader", () => opened.close(CALL_TIMEOUT_MS))
    )
    const poll = polling(consumer, ARENA_RECORDS)
    const one = yield* Semaphore.make(1)
    const read: ChangelogReader["read"] = (partition, offset, record, between) => {
      const what = `read the changelog ${partition.topic}/${partition.partition}`
      return Effect.gen(function* () {
        const { low: start } = yield* attempt(what, () =>
          consumer.watermarkOffsets(partition.topic, partition.partition, CALL_TIMEOUT_MS)
        )
        const from = offset === "beginning" ? 0 : offset
        if (start > from) return { start, end: from }
        yield* attempt(what, () => consumer.assign([{ ...partition, offset: from }]))
        const end = yield* readToEnd(poll, what, record, between).pipe(
          Effect.ensuring(Effect.ignore(attempt(what, () => consumer.unassign([partition]))))
        )
        return { start, end }
      })
    }
    const written: ChangelogReader["written"] = ({ topic, partition }) =>
      attempt(`ask for the end of the changelog ${topic}/${partition}`, () =>
        uncommitted.watermarkOffsets(topic, partition, CALL_TIMEOUT_MS)
      ).pipe(Effect.map(({ high }) => high))
    return { read: (...ask) => one.withPermits(1)(read(...ask)), written }
  })

const settings = (
  config: typeof KafkaConfig.Type,
  isolation: "read_committed" | "read_uncommitted"
): Record<string, string> => ({
  ...SOURCE_DEFAULTS,
  ...clusterSettings(config),
  "group.id": "headrace-changelog-reader",
  "isolation.level": isolation,
  "enable.partition.eof": "true",
  "enable.auto.commit": "false",
  "auto.offset.reset": "error"
})

/**
 * Polls until the client says that the last stable offset is reached, and answers with it. A poll does not tell in which
 * order ends and records came: an end that records were handed over behind is not the end any more.
 */
export const readToEnd = (
  poll: ReturnType<typeof polling>,
  what: string,
  record: Parameters<ChangelogReader["read"]>[2],
  between: Effect.Effect<void> = Effect.void
): Effect.Effect<number, LogError> =>
  Effect.gen(function* () {
    let next = 0
    let quietSince = performance.now()
    while (performance.now() - quietSince < QUIET_LIMIT_MS) {
      const { batch, events } = yield* poll(what, ARENA_RECORDS, POLL_TIMEOUT_MS)
      yield* attemptSync(what, () => handOver(batch, record))
      if (batch.count > 0) next = batch.stamps[(batch.count - 1) * 2]! + 1
      for (const event of events) if (event.type === "end" && event.offset >= next) return event.offset
      yield* between
      if (batch.count > 0) quietSince = performance.now()
    }
    return yield* Effect.fail(new LogError("Retry", `Cannot ${what}: no end of it within ${QUIET_LIMIT_MS} ms`))
  })

const handOver = ({ bytes, index, stamps, count }: Batch, record: Parameters<ChangelogReader["read"]>[2]): void => {
  for (let i = 0; i < count; i++) {
    const start = index[i * STRIDE + VALUE_START]!
    record(stamps[i * 2]!, bytes, start, start + index[i * STRIDE + VALUE_LENGTH]!)
  }
}
