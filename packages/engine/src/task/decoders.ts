import { Effect } from "effect"
import { exchangesOf, exchangeTopics, of } from "../names.ts"
import { untilAnswered } from "../patience.ts"
import type { CodecError, PreparedDecoder } from "../ports/codecs.ts"
import { type Batch, type Polled, type Source, STRIDE, TOPIC, VALUE_LENGTH, VALUE_START } from "../ports/log.ts"
import { ENVELOPE_BYTES, RECORD } from "./envelope.ts"
import type { TaskParts } from "./partition-task.ts"

/** A schema that the registry does not know, or that does not fit, is asked for again after this. ms */
const FORGET_FAILURE_MS = 10_000

/** What the values of a topic are read by. */
export interface TopicDecoders {
  /** Bytes before each value. */
  readonly skip: number
  /** The decoder of the record at `start`; undefined: it has no value. */
  readonly at: (bytes: Uint8Array, start: number) => PreparedDecoder | undefined
}

/** By topic: of a source the one, behind an exchange that of the side which a record belongs to. */
export const topicDecoders = ({
  plan,
  app,
  decoders
}: Pick<TaskParts, "plan" | "app" | "decoders">): ReadonlyMap<string, TopicDecoders> => {
  const found = new Map<string, TopicDecoders>()
  for (const { topic, id } of of(plan, "source")) {
    const decoder = decoders.get(id)
    found.set(topic, { skip: 0, at: () => decoder })
  }
  for (const topic of exchangeTopics(plan, app)) {
    const sides = exchangesOf(plan, app, topic).map(({ id }) => decoders.get(id))
    const at = (bytes: Uint8Array, start: number) => (bytes[start] === RECORD ? sides[bytes[start + 1]!] : undefined)
    found.set(topic, { skip: ENVELOPE_BYTES, at })
  }
  return found
}

/**
 * A source whose batches carry only known writer schemas: a new one is fetched and compiled before its batch is handed
 * on. While the registry does not answer, the batch waits. A schema that cannot be had stays unknown, and its records
 * are refused one by one when they are decoded.
 */
export const preparing = (source: Source, decoders: ReadonlyMap<string, TopicDecoders>): Source => {
  const unknown = new UnknownSchemas(id => decoders.get(source.topic(id)))
  return {
    ...source,
    poll: (maxRecords, timeoutMs) =>
      Effect.flatMap(source.poll(maxRecords, timeoutMs), (polled: Polled) => {
        const found = unknown.in(polled.batch)
        if (found.length === 0) return Effect.succeed(polled)
        return Effect.as(
          Effect.forEach(found, one => prepare(one, unknown), { discard: true }),
          polled
        )
      })
  }
}

/** A writer schema that a decoder has not seen yet. */
type Unknown = readonly [decoder: PreparedDecoder, schemaId: number]

const prepare = (one: Unknown, unknown: UnknownSchemas) =>
  one[0].prepare(one[1]).pipe(
    Effect.tapError(error => Effect.logWarning(error.message)),
    Effect.retry({ schedule: untilAnswered, while: (error: CodecError) => error.waiting }),
    Effect.catch(() => Effect.sync(() => unknown.failed(one)))
  )

/** Finds writer schemas that are to be fetched, each decoder its own: topics may share one. */
class UnknownSchemas {
  private readonly decodersOf: (topic: number) => TopicDecoders | undefined
  private readonly failedAt = new WeakMap<PreparedDecoder, Map<number, number>>()

  constructor(decodersOf: (topic: number) => TopicDecoders | undefined) {
    this.decodersOf = decodersOf
  }

  /** It cannot be had for now. */
  failed([decoder, id]: Unknown): void {
    this.failedAt.set(decoder, (this.failedAt.get(decoder) ?? new Map<number, number>()).set(id, performance.now()))
  }

  /** Those of a batch. Nearly every record has the topic and schema of the last. */
  in({ bytes, index, count }: Batch): readonly Unknown[] {
    let found: Map<PreparedDecoder, Set<number>> | undefined
    let topic = -1
    let ofTopic: TopicDecoders | undefined
    let decoder: PreparedDecoder | undefined
    let known = -1
    for (let at = 0; at < count * STRIDE; at += STRIDE) {
      if (index[at + TOPIC] !== topic) {
        topic = index[at + TOPIC]!
        ofTopic = this.decodersOf(topic)
      }
      if (ofTopic === undefined) continue
      const start = index[at + VALUE_START]!
      const own = ofTopic.at(bytes, start)
      if (own === undefined) continue
      if (own !== decoder) {
        decoder = own
        known = -1
      }
      const id = own.schemaId(bytes, start + ofTopic.skip, Math.max(0, index[at + VALUE_LENGTH]! - ofTopic.skip))
      if (id === known) continue
      if (id < 0 || own.knows(id)) known = id
      else if (this.mayBeHad(own, id)) {
        found ??= new Map()
        found.set(own, (found.get(own) ?? new Set()).add(id))
      }
    }
    if (found === undefined) return NONE
    return [...found].flatMap(([decoder, ids]) => Array.from(ids, id => [decoder, id] as const))
  }

  private mayBeHad(decoder: PreparedDecoder, id: number): boolean {
    return performance.now() - (this.failedAt.get(decoder)?.get(id) ?? Number.NEGATIVE_INFINITY) > FORGET_FAILURE_MS
  }
}

const NONE: readonly Unknown[] = []
