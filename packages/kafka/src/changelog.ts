import { type ChangelogReader, type KafkaConfig, LogError, STRIDE, VALUE_LENGTH, VALUE_START } from "@headrace/engine"
import { Effect, type Scope, Semaphore } from "effect"
import { Arena } from "./arena.ts"
import { Consumer } from "./consumer.ts"
import { SOURCE_DEFAULTS } from "./defaults.ts"
import { attempt, attemptSync } from "./port-error.ts"

const ARENA_BYTES = 4 << 20
const ARENA_RECORDS = 4096
const POLL_TIMEOUT_MS = 1_000
const CALL_TIMEOUT_MS = 10_000
/** A changelog whose end does not come within this much time without a record: the broker is away. */
const QUIET_LIMIT_MS = 30_000

/** Reads changelog partitions, one after the other, through a consumer without a group. */
export const openChangelog = (config: typeof KafkaConfig.Type): Effect.Effect<ChangelogReader, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const consumer = yield* Effect.acquireRelease(
      attemptSync("open a changelog reader", () => Consumer.open(settings(config))),
      opened => Effect.promise(() => opened.close(CALL_TIMEOUT_MS))
    )
    const one = yield* Semaphore.make(1)
    const read: ChangelogReader["read"] = (partition, offset, record, between) =>
      attempt(`read the changelog ${partition.topic}/${partition.partition}`, async () => {
        const { low: start } = await consumer.watermarkOffsets(partition.topic, partition.partition, CALL_TIMEOUT_MS)
        const from = offset === "beginning" ? start : Math.max(start, offset)
        await consumer.assign([{ ...partition, offset: from }])
        const end = await readToEnd(consumer, partition.topic, record, between)
        await consumer.unassign([partition])
        return { start, end }
      })
    return { read: (...ask) => one.withPermits(1)(read(...ask)) }
  })

const settings = (config: typeof KafkaConfig.Type): Record<string, string> => ({
  ...SOURCE_DEFAULTS,
  ...config.settings,
  "bootstrap.servers": config.bootstrap,
  "group.id": "headrace-changelog-reader",
  "isolation.level": "read_committed",
  "enable.partition.eof": "true",
  "enable.auto.commit": "false",
  "auto.offset.reset": "error"
})

/**
 * Polls until the client says that the last stable offset is reached, and answers with it. A poll does not tell in which
 * order ends and records came: an end that records were handed over behind is not the end any more.
 */
export const readToEnd = async (
  consumer: Pick<Consumer, "poll">,
  topic: string,
  record: Parameters<ChangelogReader["read"]>[2],
  between: Effect.Effect<void> = Effect.void
): Promise<number> => {
  const arena = new Arena(ARENA_BYTES, ARENA_RECORDS)
  let next = 0
  let quietSince = performance.now()
  while (performance.now() - quietSince < QUIET_LIMIT_MS) {
    const { count, events } = await consumer.poll(arena, ARENA_RECORDS, POLL_TIMEOUT_MS)
    for (let i = 0; i < count; i++) {
      const start = arena.index[i * STRIDE + VALUE_START]!
      record(arena.stamps[i * 2]!, arena.bytes, start, start + arena.index[i * STRIDE + VALUE_LENGTH]!)
      next = arena.stamps[i * 2]! + 1
    }
    for (const event of events) {
      if (event.type === "end" && event.offset >= next) return event.offset
      if (event.type === "error" && (event.error.fatal || event.error.reason === "OffsetOutOfRange")) throw event.error
    }
    await Effect.runPromise(between)
    if (count > 0) quietSince = performance.now()
  }
  throw new LogError("Retry", `no end of ${topic} within ${QUIET_LIMIT_MS} ms: the broker does not answer`)
}
