import { plainName, topicName } from "./check.ts"
import type { RecordSchema } from "./schema.ts"

/** A topic that records of type A are written to. */
export interface KafkaSink<in A> {
  readonly kind: "kafkaSink"
  readonly id: string
  readonly topic: string
  readonly schema: RecordSchema
  /** Undefined: the stream's key, or that of the source record. */
  readonly key: ((record: never) => string) | undefined
  readonly "~accepts"?: ((record: A) => void) | undefined
}

/** A table that gets what the Kafka sink before it wrote. */
export interface ClickHouseSink {
  readonly kind: "clickhouseSink"
  readonly id: string
  readonly table: string
}

/** How records are keyed in the topic, and by what the sink is found. */
export interface KafkaOptions<A> {
  /**
   * The Kafka key, written as UTF-8. Called once for each record. Default: the stream's key if it is keyed, else
   * the key of the source record.
   */
  readonly key?: (record: A) => string
  /** Default: `kafka:<topic>`. */
  readonly id?: string
}

/**
 * Writes records to a topic, exactly once. Records may have more fields than the schema: those are left out.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Sink } from "headrace"
 *
 * const Spend = Schema.Struct({ key: Schema.String, spent: Schema.Number })
 * Sink.kafka("spend", Spend, { key: s => s.key }).id // => "kafka:spend"
 * ```
 */
export const kafka = <S extends RecordSchema>(
  topic: string,
  schema: S,
  options: KafkaOptions<S["Type"]> = {}
): KafkaSink<S["Type"]> => ({
  kind: "kafkaSink",
  id: options.id === undefined ? `kafka:${topic}` : plainName("an id", options.id),
  topic: topicName(topic),
  schema,
  key: options.key
})

/**
 * Fills a table from the Kafka sink that stands before it in `to`: that topic is the write-ahead log, which is what
 * makes the table exactly once. The table is created from the schema if it is missing.
 *
 * ```ts
 * import { Sink } from "headrace"
 *
 * Sink.clickhouse("spend").id // => "clickhouse:spend"
 * ```
 */
export const clickhouse = (table: string, options: { readonly id?: string } = {}): ClickHouseSink => ({
  kind: "clickhouseSink",
  id: options.id === undefined ? `clickhouse:${table}` : plainName("an id", options.id),
  table: plainName("a table", table)
})
