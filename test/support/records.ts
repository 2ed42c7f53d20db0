import { derive, makeDecoder, makeEncoder, Registry, valueSubject } from "@headrace/avro"
import {
  HEADERS_LENGTH,
  HEADERS_START,
  KEY_LENGTH,
  KEY_START,
  Outputs,
  PARTITION,
  STRIDE,
  VALUE_LENGTH,
  VALUE_START
} from "@headrace/engine"
import { Admin, Arena, Consumer, Producer, readHeaders } from "@headrace/kafka"
import { Effect, type Schema } from "effect"

/** Servers that a test talks to. */
export interface Servers {
  readonly bootstrap: string
  readonly registry: string
}

/** Answers when the broker knows of it and who leads it, which may be later than that it is made. */
export const createTopic = async (
  { bootstrap }: Pick<Servers, "bootstrap">,
  topic: string,
  partitions: number
): Promise<void> => {
  const admin = Admin.open({ "bootstrap.servers": bootstrap })
  await admin.createTopics([{ topic, partitions, replication: 1 }])
  const led = async () => {
    const { topics } = await admin.metadata([topic])
    return topics.flatMap(one => one.partitions.filter(({ leader }) => leader >= 0)).length
  }
  while ((await led()) < partitions) await Bun.sleep(20)
  await admin.close()
}

/** Registers a schema for a topic's values; answers with its id and the Avro of it. */
const register = async ({ registry }: Servers, topic: string, schema: Schema.Top) => {
  const json = derive(schema, topic)
  const id = await Effect.runPromise(
    Effect.flatMap(Registry, one => one.register(valueSubject(topic), json)).pipe(
      Effect.provide(Registry.layer({ url: registry }))
    )
  )
  return { json, id }
}

/** The bytes of one record as `send` would send it. */
export const encoded = async (
  servers: Servers,
  topic: string,
  schema: Schema.Top,
  record: object
): Promise<Uint8Array> => {
  const { json, id } = await register(servers, topic, schema)
  const { data } = new Outputs()
  makeEncoder(json, id).encode(record, data)
  return data.bytes.slice(0, data.length)
}

/** Sends bytes as they are to one partition. */
export const sendBytes = async (
  { bootstrap }: Servers,
  topic: string,
  records: readonly { readonly key: string; readonly value: Uint8Array; readonly partition: number }[]
): Promise<void> => {
  const producer = Producer.open({ "bootstrap.servers": bootstrap })
  const topicId = producer.topicId(topic)
  const outputs = new Outputs()
  for (const { key, value, partition } of records) {
    const start = outputs.data.length
    const keyBytes = new TextEncoder().encode(key)
    outputs.data.copy(keyBytes, 0, keyBytes.length)
    const valueStart = outputs.data.length
    outputs.data.copy(value, 0, value.length)
    outputs.add(topicId, partition, start, valueStart, Date.now())
  }
  const arena = { bytes: outputs.data.bytes, index: outputs.index, stamps: outputs.stamps }
  if (producer.produce(arena, 0, outputs.count) !== outputs.count) throw new Error("The producer's queue is full")
  await producer.flush(30_000)
  await producer.close()
}

/** Sends records in this order; answers when the broker has all of them. */
export const send = async <A extends object>(
  { bootstrap, registry }: Servers,
  topic: string,
  schema: Schema.Top,
  records: readonly (A & { readonly key: string; readonly partition?: number })[]
): Promise<void> => {
  const { json, id } = await register({ bootstrap, registry }, topic, schema)
  const encoder = makeEncoder(json, id)
  const outputs = new Outputs()
  const producer = Producer.open({ "bootstrap.servers": bootstrap, partitioner: "murmur2_random" })
  const topicId = producer.topicId(topic)
  for (const record of records) {
    const start = outputs.data.length
    const key = new TextEncoder().encode(record.key)
    outputs.data.copy(key, 0, key.length)
    const valueStart = outputs.data.length
    encoder.encode(record, outputs.data)
    outputs.add(topicId, record.partition ?? -1, start, valueStart, Date.now())
  }
  const arena = { bytes: outputs.data.bytes, index: outputs.index, stamps: outputs.stamps }
  for (let from = 0; from < outputs.count; ) {
    from += producer.produce(arena, from, outputs.count - from)
    await producer.flush(30_000)
  }
  await producer.close()
}

export interface Received {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: Record<string, unknown>
}

export interface ReceivedBytes {
  readonly partition: number
  readonly key: string | null
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

/** All committed records of a topic as bytes, with their headers as text. */
export const receiveBytes = async (bootstrap: string, topic: string): Promise<ReceivedBytes[]> => {
  const found: ReceivedBytes[] = []
  const text = new TextDecoder()
  await readAll(bootstrap, topic, async ({ bytes, index }, i) => {
    const at = i * STRIDE
    const part = (place: number, length: number) =>
      bytes.slice(index[at + place]!, index[at + place]! + index[at + length]!)
    const headers = readHeaders(bytes, index[at + HEADERS_START]!, index[at + HEADERS_LENGTH]!)
    found.push({
      partition: index[at + PARTITION]!,
      key: index[at + KEY_LENGTH]! < 0 ? null : text.decode(part(KEY_START, KEY_LENGTH)),
      value: part(VALUE_START, VALUE_LENGTH),
      headers: Object.fromEntries(headers.map(({ name, value }) => [name, text.decode(value ?? new Uint8Array())]))
    })
  })
  return found
}

/** All committed records of a topic, in offset order within a partition. Decodes with the newest schema. */
export const receive = async (
  { bootstrap, registry }: Servers,
  topic: string,
  schema: Schema.Top
): Promise<Received[]> => {
  const { decoder, learn } = makeDecoder(derive(schema, topic))
  const byId = (id: number) =>
    Effect.runPromise(
      Effect.flatMap(Registry, one => one.byId(id)).pipe(Effect.provide(Registry.layer({ url: registry })))
    )
  const found: Received[] = []
  await readAll(bootstrap, topic, async (arena, i) => {
    const at = i * STRIDE
    const start = arena.index[at + VALUE_START]!
    const length = arena.index[at + VALUE_LENGTH]!
    const id = decoder.schemaId(arena.bytes, start, length)
    if (!decoder.knows(id)) learn(id, await byId(id))
    decoder.view(arena.bytes, start, length)
    const keyStart = arena.index[at + KEY_START]!
    const keyLength = arena.index[at + KEY_LENGTH]!
    found.push({
      partition: arena.index[at + PARTITION]!,
      offset: arena.stamps[i * 2]!,
      key: keyLength < 0 ? null : new TextDecoder().decode(arena.bytes.subarray(keyStart, keyStart + keyLength)),
      value: decoder.materialise() as Record<string, unknown>
    })
  })
  return found
}

/** Reads every partition, read_committed, to its end as it is now. */
const readAll = async (
  bootstrap: string,
  topic: string,
  record: (arena: Arena, i: number) => Promise<void>
): Promise<void> => {
  const consumer = Consumer.open({
    "bootstrap.servers": bootstrap,
    "group.id": "test-reader",
    "enable.partition.eof": "true",
    "enable.auto.commit": "false",
    "isolation.level": "read_committed",
    // Where somebody always writes, a fetch that waits for more never comes back empty, and the end is never told.
    "fetch.wait.max.ms": "1"
  })
  const arena = new Arena(4 << 20, 4096)
  const partitions = await partitionsOf(bootstrap, topic)
  await consumer.assign(partitions.map(partition => ({ topic, partition, offset: "beginning" })))
  const open = new Set(partitions)
  while (open.size > 0) {
    const { count, events } = await consumer.poll(arena, 4096, 1000)
    for (let i = 0; i < count; i++) await record(arena, i)
    for (const event of events) if (event.type === "end") open.delete(event.partition)
  }
  await consumer.close()
}

/** None while the topic does not exist. */
const partitionsOf = async (bootstrap: string, topic: string): Promise<readonly number[]> => {
  const admin = Admin.open({ "bootstrap.servers": bootstrap })
  try {
    const { topics } = await admin.metadata([topic])
    return topics.flatMap(one => one.partitions.map(place => place.partition))
  } finally {
    await admin.close()
  }
}
