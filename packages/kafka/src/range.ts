import type { LogError, TopicPartition } from "@headrace/engine"
import { Effect } from "effect"
import type { Consumer } from "./consumer.ts"
import { attempt } from "./port-error.ts"

const CALL_TIMEOUT_MS = 10_000

type Asked = Pick<Consumer, "watermarkOffsets">

export interface Range {
  readonly start: number
  readonly end: number
}

/**
 * The first offset that is still in the log, and the last stable one, but never before the first. To who reads committed,
 * librdkafka tells the smaller of both as the first: where retention has overtaken an open transaction, that is the last
 * stable one. So the first one is asked for by `everything`, which reads uncommitted.
 */
export const rangeOf = (
  everything: Asked,
  committed: Asked,
  partition: TopicPartition
): Effect.Effect<Range, LogError> =>
  Effect.gen(function* () {
    const { low: start } = yield* watermarks(everything, partition)
    const { high: end } = yield* watermarks(committed, partition)
    return { start, end }
  })

/** The first offset and, to who reads uncommitted, the end of everything. */
export const fullRangeOf = (everything: Asked, partition: TopicPartition): Effect.Effect<Range, LogError> =>
  Effect.map(watermarks(everything, partition), ({ low, high }) => ({ start: low, end: high }))

const watermarks = (asked: Asked, { topic, partition }: TopicPartition) =>
  attempt(`read the range of ${topic}/${partition}`, () => asked.watermarkOffsets(topic, partition, CALL_TIMEOUT_MS))
