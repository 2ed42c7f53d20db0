import {
  type Batch,
  type GroupOffsets,
  type KafkaConfig,
  KEY_LENGTH,
  KEY_START,
  type LogError,
  STRIDE
} from "@headrace/engine"
import { Effect, type Scope } from "effect"
import { marksOf } from "./committed.ts"
import { endsBy, everythingSettings, openConsumer, readerSettings, readRange } from "./committed-log.ts"
import type { Consumer } from "./consumer.ts"
import { attempt } from "./port-error.ts"
import { rangeOf } from "./range.ts"

const CALL_TIMEOUT_MS = 10_000
/** Of what is of no use when it is old. */
const LATEST_TIMEOUT_MS = 2_000

/** A group's offsets through a consumer that never joins it: the broker takes commits of such a one while it is empty. */
export const openOffsets = (
  config: typeof KafkaConfig.Type,
  group: string
): Effect.Effect<GroupOffsets, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const consumer = yield* openConsumer(config, { ...readerSettings(config), "group.id": group })
    // Waits for no transaction that is pending.
    const everything = yield* openConsumer(config, { ...everythingSettings(config), "group.id": group })
    const range: GroupOffsets["range"] = partition => rangeOf(everything, consumer, partition)
    const marksBy =
      (asked: Consumer, timeoutMs: number): GroupOffsets["marks"] =>
      partitions =>
        Effect.flatMap(
          attempt("read committed offsets", () => asked.committed(partitions, timeoutMs)),
          marksOf
        )
    const marks = marksBy(consumer, CALL_TIMEOUT_MS)
    return {
      range,
      marks,
      latest: marksBy(everything, LATEST_TIMEOUT_MS),
      ends: partitions => endsBy(consumer, partitions, LATEST_TIMEOUT_MS),
      committed: partitions => Effect.map(marks(partitions), found => found.map(mark => mark?.offset)),
      commit: places => attempt(`commit offsets of the group ${group}`, () => consumer.commit(places, CALL_TIMEOUT_MS)),
      keys: (from, visit) =>
        Effect.flatMap(range(from), ({ end }) =>
          end <= from.offset
            ? Effect.void
            : readRange(consumer, from, from.offset, end - 1, batch => Effect.sync(() => keysOf(batch, visit)))
        )
    } satisfies GroupOffsets
  })

const keysOf = ({ bytes, index, stamps, count }: Batch, visit: Parameters<GroupOffsets["keys"]>[1]): void => {
  for (let i = 0; i < count; i++) {
    const start = index[i * STRIDE + KEY_START]!
    const length = index[i * STRIDE + KEY_LENGTH]!
    visit(stamps[i * 2]!, length < 0 ? undefined : bytes.subarray(start, start + length))
  }
}
