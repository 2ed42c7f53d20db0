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

  const isOpen = (id: number): boolean =>
    performance.now() - (failedAt.get(id) ?? Number.NEGATIVE_INFINITY) > FORGET_FAILURE_MS

  /** The writer schemas of a batch that are to be fetched. Nearly every record has the topic and schema of the last. */
  const unknownOf = (batch: Batch): ReadonlyMap<number, PreparedDecoder> => {
    const unknown = new Map<number, PreparedDecoder>()
    const { bytes, index, count } = batch
    let topic = -1
    let known = -1
    let decoder: PreparedDecoder | undefined
    for (let at = 0; at < count * STRIDE; at += STRIDE) {
      if (index[at + TOPIC] !== topic) {
        topic = index[at + TOPIC]!
        known = -1
        decoder = decoders.get(source.topic(topic))
      }
      if (decoder === undefined) continue
      const id = decoder.schemaId(bytes, index[at + VALUE_START]!, Math.max(0, index[at + VALUE_LENGTH]!))
      if (id === known) continue
      if (id < 0 || decoder.knows(id)) known = id
      else if (isOpen(id)) unknown.set(id, decoder)
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
