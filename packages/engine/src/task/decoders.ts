import { Effect } from "effect"
import { untilAnswered } from "../patience.ts"
import type { CodecError, PreparedDecoder } from "../ports/codecs.ts"
import { type Batch, type Polled, type Source, STRIDE, TOPIC, VALUE_LENGTH, VALUE_START } from "../ports/log.ts"

/** A schema that the registry does not know, or that does not fit, is asked for again after this. ms */
const FORGET_FAILURE_MS = 10_000

/**
 * A source whose batches carry only known writer schemas: a new one is fetched and compiled before its batch is handed
 * on. While the registry does not answer, the batch waits. A schema that cannot be had stays unknown, and its records
 * are refused one by one when they are decoded.
 */
export const preparing = (source: Source, decoders: ReadonlyMap<string, PreparedDecoder>): Source => {
  const failedAt = new Map<number, number>()

  const prepare = (decoder: PreparedDecoder, schemaId: number) =>
    decoder.prepare(schemaId).pipe(
      Effect.tapError(error => Effect.logWarning(error.message)),
      Effect.retry({ schedule: untilAnswered, while: (error: CodecError) => error.waiting }),
      Effect.catch(() => Effect.sync(() => void failedAt.set(schemaId, performance.now())))
    )

  const unknownOf = (batch: Batch): ReadonlyMap<number, PreparedDecoder> => {
    const unknown = new Map<number, PreparedDecoder>()
    for (let i = 0; i < batch.count; i++) {
      const at = i * STRIDE
      const decoder = decoders.get(source.topic(batch.index[at + TOPIC]!))
      if (decoder === undefined) continue
      const id = decoder.schemaId(
        batch.bytes,
        batch.index[at + VALUE_START]!,
        Math.max(0, batch.index[at + VALUE_LENGTH]!)
      )
      if (id < 0 || decoder.knows(id)) continue
      if (performance.now() - (failedAt.get(id) ?? Number.NEGATIVE_INFINITY) > FORGET_FAILURE_MS)
        unknown.set(id, decoder)
    }
    return unknown
  }

  return {
    ...source,
    poll: (maxRecords, timeoutMs) =>
      Effect.flatMap(source.poll(maxRecords, timeoutMs), (polled: Polled) => {
        const unknown = unknownOf(polled.batch)
        if (unknown.size === 0) return Effect.succeed(polled)
        return Effect.as(
          Effect.forEach(unknown, ([id, decoder]) => prepare(decoder, id), { discard: true }),
          polled
        )
      })
  }
}
