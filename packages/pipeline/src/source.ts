import type { Duration } from "effect"
import { milliseconds, plainName, topicName } from "./check.ts"
import type { DeadLetter } from "./deadLetter.ts"
import { check } from "./error.ts"
import type { Alignment, SourceNode } from "./nodes.ts"
import type { RecordSchema } from "./schema.ts"

/** A topic to read, as typed records. */
export interface Source<out A extends object> {
  readonly id: string
  readonly spec: Omit<SourceNode, "id">
  readonly "~record"?: (_: never) => A
}

/** How event time, keys and what cannot be decoded are read from a topic. */
export interface KafkaOptions<A> {
  /** Event time in ms since 1970. Called once for each record, on a view. Default: the Kafka timestamp. */
  readonly eventTime?: (record: A) => number
  /** How much later than a newer record of its partition a record may come and still be on time. Default: 0. */
  readonly outOfOrderness?: Duration.Input
  /**
   * How long a partition may be without records, in processing time, before stages behind a repartitioning go on without
   * it. Its records may then come late. Default: they wait, as for a partition that never had a record.
   */
  readonly idleTimeout?: Duration.Input
  /**
   * Partitions that run ahead wait for the others: see `AlignmentOptions`. Default: each is read as fast as it goes, and what
   * waits for the slower ones is kept as state.
   */
  readonly alignment?: AlignmentOptions
  /**
   * The watermark that a record carries, in ms: nothing at or before it will come any more in its partition. Undefined for one
   * that carries none. In place of `outOfOrderness`; called once for each record, on a view. It never goes back.
   */
  readonly watermark?: WatermarkOf<A>
  /**
   * Watermarks of your own: makes what `watermark` is, for each partition one, which may remember what it has seen. It is made
   * anew with each start, and whenever the partition moves; the watermark does not go back then.
   */
  readonly watermarks?: () => WatermarkOf<A>
  /**
   * The field that holds the Kafka key, as producers write it with the default partitioner. A stream that is keyed by it
   * needs no repartitioning; by any other field, or joined with another topic, it goes through one topic more. Of a field
   * that is a string it is checked now and then, in the first record of each batch: the job stops where it is not so.
   * Default: nothing is known of the key.
   */
  readonly key?: keyof A & string
  /**
   * Makes a record of one without a value (a tombstone), by which a compacted topic says that the row of a key is gone: of the Kafka
   * key, as text, and the Kafka timestamp in ms. Undefined: there is nothing to say, and it is passed over. Default: it is
   * bytes that are not a record. With it the topic's records are read whole, which is slower.
   */
  readonly tombstone?: (key: string, timestamp: number) => A | undefined
  /** What happens to bytes that are not a record of the schema. Default: `fail`, which stops the job there. */
  readonly onDecodeError?: "fail" | DeadLetter
  /** Default: `source:<topic>`. */
  readonly id?: string
}

/** What a record says of its partition's event time, in ms; undefined: nothing. */
export type WatermarkOf<in A> = (record: A, timestamp: number) => number | undefined

/**
 * A partition whose watermark is further ahead than `maxDrift` of the least one in its group is not read until that has
 * followed. All partitions of the job are compared, also across processes, as of what is committed there. Those without records for the
 * `idleTimeout` (5 seconds, if there is none) are not waited for, nor those of another process that have not moved for as long, and 5
 * seconds at least. Results do not depend on it.
 */
export interface AlignmentOptions {
  /** In event time. */
  readonly maxDrift: Duration.Input
  /** Sources of the same group wait for each other. Default: `default`. */
  readonly group?: string
}

/**
 * Reads a topic. The schema is the reader schema, and so the projection: fields that it lacks are skipped.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Source } from "headrace"
 *
 * const Payment = Schema.Struct({ account: Schema.String, at: Schema.Number })
 * Source.kafka("payments", Payment, { eventTime: p => p.at, outOfOrderness: "20 seconds" }).id // => "source:payments"
 * ```
 */
export const kafka = <S extends RecordSchema>(
  topic: string,
  schema: S,
  options: KafkaOptions<S["Type"]> = {}
): Source<S["Type"]> => ({
  id: options.id === undefined ? `source:${topic}` : plainName("an id", options.id),
  spec: {
    kind: "source",
    topic: topicName(topic),
    schema,
    eventTime: options.eventTime,
    outOfOrdernessMs: milliseconds(`outOfOrderness of source "${topic}"`, options.outOfOrderness ?? 0, 0),
    idleTimeoutMs:
      options.idleTimeout === undefined
        ? undefined
        : milliseconds(`idleTimeout of source "${topic}"`, options.idleTimeout, 1),
    alignment: options.alignment && alignmentOf(topic, options.alignment),
    watermarks: watermarksOf(topic, options),
    key: options.key,
    tombstone: options.tombstone,
    onDecodeError: decodeErrors(options.onDecodeError)
  }
})

const watermarksOf = <A>(topic: string, { watermark, watermarks }: KafkaOptions<A>): KafkaOptions<A>["watermarks"] => {
  check(
    watermark === undefined || watermarks === undefined,
    () => `source "${topic}" has a watermark and watermarks: take the second where each partition has its own`
  )
  return watermarks ?? (watermark && (() => watermark))
}

const alignmentOf = (topic: string, { maxDrift, group = "default" }: AlignmentOptions): Alignment => ({
  group: plainName("an alignment group", group),
  maxDriftMs: milliseconds(`the alignment's maxDrift of source "${topic}"`, maxDrift, 0)
})

const decodeErrors = (choice: "fail" | DeadLetter = "fail"): SourceNode["onDecodeError"] =>
  choice === "fail" ? { kind: "fail" } : { kind: "deadLetter", topic: choice.topic }
