import { Arena, Consumer, KafkaError } from "@headrace/kafka"
import { Schema } from "effect"
import { openDecoder } from "../codecs.ts"
import type { KafkaAccess, RegistryAccess } from "../options.ts"
import { TOPICS } from "../scenarios/payments/topics.ts"
import { decoded } from "./outputs.ts"

const ARENA_BYTES = 4 << 20
const ARENA_RECORDS = 8192
const CALL_MS = 10_000
/** How far back the last event times are looked for: late and disordered events may stand at the very end. */
const TAIL = 200
const TAIL_QUIET_MS = 1_000

export interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Eight numbers a record in `index`: topic, partition, then key, value and headers as place and length. */
export interface Batch {
  readonly bytes: Uint8Array
  readonly index: Int32Array
  readonly count: number
  readonly topic: (id: number) => string
}

/** A reader of committed records without a group's offsets. */
export const openReader = ({ bootstrap, settings }: KafkaAccess): Consumer =>
  Consumer.open({
    "client.id": "headrace-loadtest-meter",
    "group.id": "headrace-loadtest-meter",
    "isolation.level": "read_committed",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "error",
    "fetch.wait.max.ms": "10",
    "fetch.min.bytes": "65536",
    "fetch.queue.backoff.ms": "5",
    ...settings,
    "bootstrap.servers": bootstrap
  })

/** Polls a consumer into one arena, which grows for a record that does not fit. */
export class Reading {
  private arena = new Arena(ARENA_BYTES, ARENA_RECORDS)

  constructor(consumer: Consumer) {
    this.consumer = consumer
  }
  private readonly consumer: Consumer

  /** What is there, at the latest after `timeoutMs` with nothing. Valid until the next call. */
  async poll(timeoutMs: number): Promise<Batch> {
    try {
      const { count, events } = await this.consumer.poll(this.arena, ARENA_RECORDS, timeoutMs)
      for (const event of events) if (event.type === "error" && event.error.fatal) throw event.error
      return { bytes: this.arena.bytes, index: this.arena.index, count, topic: id => this.consumer.topic(id) }
    } catch (error) {
      if (!(error instanceof KafkaError) || error.reason !== "ArenaTooSmall") throw error
      this.arena = new Arena(Math.max(error.needed ?? 0, this.arena.bytes.length * 2), ARENA_RECORDS)
      return this.poll(timeoutMs)
    }
  }
}

/** The ends of the partitions of some topics. */
export const endsOf = (consumer: Consumer, topics: readonly string[], partitions: number): Promise<Place[]> =>
  Promise.all(
    topics.flatMap(topic =>
      Array.from({ length: partitions }, async (_, partition) => {
        const { high } = await rangeOf(consumer, topic, partition)
        return { topic, partition, offset: high }
      })
    )
  )

const RETRY_MS = 50
/** A topic that was made just now may have no leader yet, and not every broker knows of it. */
const ELECTING = new Set(["NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE", "UNKNOWN_TOPIC_OR_PART"])

const rangeOf = async (consumer: Consumer, topic: string, partition: number) => {
  const deadline = performance.now() + CALL_MS
  for (;;) {
    try {
      return await consumer.watermarkOffsets(topic, partition, CALL_MS)
    } catch (error) {
      const electing = error instanceof KafkaError && ELECTING.has(error.code.name)
      if (!electing || performance.now() > deadline) throw error
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** The latest event time among the last events of the source topic, 0 where it is empty. */
export const lastEventTime = async (
  consumer: Consumer,
  access: RegistryAccess,
  partitions: number
): Promise<number> => {
  const tails = await Promise.all(Array.from({ length: partitions }, (_, partition) => tailOf(consumer, partition)))
  const places = tails.filter(tail => tail !== undefined)
  if (places.length === 0) return 0
  await consumer.assign(places)
  const last = await latest(new Reading(consumer), access)
  await consumer.unassign(places)
  return last
}

const tailOf = async (consumer: Consumer, partition: number): Promise<Place | undefined> => {
  const { low, high } = await rangeOf(consumer, TOPICS.events, partition)
  return high > low ? { topic: TOPICS.events, partition, offset: Math.max(low, high - TAIL) } : undefined
}

const latest = async (reading: Reading, access: RegistryAccess): Promise<number> => {
  const decoder = await openDecoder(
    access,
    Schema.Struct({ at: Schema.Int }).annotate({ identifier: "AccountEvent" }),
    TOPICS.events
  )
  let last = 0
  for (let batch = await reading.poll(TAIL_QUIET_MS); batch.count > 0; batch = await reading.poll(TAIL_QUIET_MS)) {
    for (let i = 0; i < batch.count; i++) {
      const { at } = (await decoded(decoder, batch, i)) as { readonly at: number }
      last = Math.max(last, at)
    }
  }
  return last
}
