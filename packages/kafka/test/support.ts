import {
  HEADERS_LENGTH,
  HEADERS_START,
  KEY_LENGTH,
  KEY_START,
  PARTITION,
  STRIDE,
  TOPIC,
  VALUE_LENGTH,
  VALUE_START
} from "@headrace/engine"
import {
  Admin,
  Arena,
  Consumer,
  type ConsumerEvent,
  type Header,
  headersLength,
  KafkaError,
  type KafkaReason,
  type OutArena,
  PRODUCER_DEFAULTS,
  Producer,
  readHeaders,
  SOURCE_DEFAULTS,
  type TopicPartition,
  writeHeaders
} from "../src/index.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export interface Outgoing {
  readonly topic: number
  readonly partition?: number
  readonly key?: string | null
  readonly value?: string | null
  readonly headers?: readonly Header[]
  readonly timestampMs?: number
}

/** Records packed into an arena to send. */
export const pack = (records: readonly Outgoing[]): OutArena => {
  const parts = records.map(({ key, value, headers }) => ({
    key: key == null ? null : encoder.encode(key),
    value: value == null ? null : encoder.encode(value),
    headers: headers ?? []
  }))
  const size = parts.reduce(
    (sum, part) => sum + (part.key?.length ?? 0) + (part.value?.length ?? 0) + headersLength(part.headers),
    0
  )
  const bytes = new Uint8Array(size)
  const index = new Int32Array(records.length * STRIDE)
  let at = 0
  const put = (data: Uint8Array | null): [number, number] => {
    if (data === null) return [at, -1]
    bytes.set(data, at)
    at += data.length
    return [at - data.length, data.length]
  }
  parts.forEach((part, i) => {
    const record = records[i]!
    const [key, value] = [put(part.key), put(part.value)]
    const written = part.headers.length === 0 ? 0 : writeHeaders(part.headers, bytes, at)
    index.set([record.topic, record.partition ?? -1, ...key, ...value, at, written], i * STRIDE)
    at += written
  })
  return { bytes, index, stamps: Float64Array.from(records, ({ timestampMs }) => timestampMs ?? Number.NaN) }
}

export interface Received {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly Header[]
}

const text = (bytes: Uint8Array, at: number, length: number) =>
  length < 0 ? null : decoder.decode(bytes.subarray(at, at + length))

/** The messages of a poll as objects. */
const unpack = (consumer: Consumer, arena: Arena, count: number): Received[] =>
  Array.from({ length: count }, (_, i) => {
    const at = (k: number) => arena.index[i * STRIDE + k]!
    return {
      topic: consumer.topic(at(TOPIC)),
      partition: at(PARTITION),
      offset: arena.stamps[i * 2]!,
      timestampMs: arena.stamps[i * 2 + 1]!,
      key: text(arena.bytes, at(KEY_START), at(KEY_LENGTH)),
      value: text(arena.bytes, at(VALUE_START), at(VALUE_LENGTH)),
      headers: readHeaders(arena.bytes, at(HEADERS_START), at(HEADERS_LENGTH))
    }
  })

/** Far more than a busy machine needs; below a test's own time-out. */
export const DEADLINE_MS = 90_000

/** Polls until `done` says so; in between, group changes are answered as `assignFrom` says. */
export const readUntil = async (
  consumer: Consumer,
  done: (received: readonly Received[], events: readonly ConsumerEvent[]) => boolean,
  { arena = new Arena(1 << 20, 4096), answer = true } = {}
): Promise<{ received: Received[]; events: ConsumerEvent[] }> => {
  const received: Received[] = []
  const events: ConsumerEvent[] = []
  const until = performance.now() + DEADLINE_MS
  while (!done(received, events)) {
    if (performance.now() > until)
      throw new Error(`gave up after ${received.length} messages: ${JSON.stringify(events)}`)
    const polled = await consumer.poll(arena, arena.messages, 200)
    received.push(...unpack(consumer, arena, polled.count))
    events.push(...polled.events)
    if (answer) for (const event of polled.events) await answerChange(consumer, event)
  }
  return { received, events }
}

/** Takes on what the group gives, from the beginning; gives up what it takes. */
export const answerChange = async (consumer: Consumer, event: ConsumerEvent): Promise<void> => {
  if (event.type === "assign")
    await consumer.assign(event.partitions.map(p => ({ ...p, offset: "beginning" as const })))
  if (event.type === "revoke" || event.type === "lost") await consumer.unassign(event.partitions)
}

let made = 0

/** A name that no other test uses. */
export const fresh = (what: string): string => `${what}-${process.pid}-${Date.now().toString(36)}-${made++}`

export const openConsumer = (bootstrap: string, config: Record<string, string> = {}): Consumer =>
  Consumer.open({
    ...SOURCE_DEFAULTS,
    "bootstrap.servers": bootstrap,
    "group.id": fresh("group"),
    "enable.auto.commit": "false",
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    ...config
  })

export const openProducer = (bootstrap: string, config: Record<string, string> = {}): Producer =>
  Producer.open({ ...PRODUCER_DEFAULTS, "bootstrap.servers": bootstrap, ...config })

/** Answers when the broker knows of it and who leads it, which may be later than that it is made. */
export const createTopic = async (bootstrap: string, partitions = 1, config: Record<string, string> = {}) => {
  const admin = Admin.open({ "bootstrap.servers": bootstrap })
  const topic = fresh("topic")
  await admin.createTopics([{ topic, partitions, replication: 1, config }])
  await ledIn(admin, topic, partitions)
  await admin.close()
  return topic
}

/** Until so many partitions of a topic have a leader, as far as the broker knows. */
export const ledIn = async (admin: Admin, topic: string, partitions: number): Promise<void> => {
  const led = async () => {
    const { topics } = await admin.metadata([topic])
    return topics.flatMap(one => one.partitions.filter(({ leader }) => leader >= 0)).length
  }
  while ((await led()) !== partitions) await new Promise(resolve => setTimeout(resolve, 20))
}

export const partitionsOf = (topic: string, count: number): TopicPartition[] =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))

export const fromBeginning = (topic: string, count = 1) =>
  partitionsOf(topic, count).map(p => ({ ...p, offset: "beginning" as const }))

/** The reason with which a call fails; "none" if it does not. */
export const reasonOf = async (call: () => unknown): Promise<KafkaReason | "none"> => {
  try {
    await call()
    return "none"
  } catch (error) {
    if (error instanceof KafkaError) return error.reason
    throw error
  }
}

/** Kafka's DefaultPartitioner, from its description: murmur2 of the key, sign bit cleared, modulo partitions. */
export const murmur2Partition = (key: string, partitions: number): number => {
  const data = new TextEncoder().encode(key)
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ data.length
  const whole = data.length & ~3
  for (let i = 0; i < whole; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    h = Math.imul(h, m) ^ Math.imul(k, m)
  }
  const rest = data.length - whole
  if (rest > 2) h ^= data[whole + 2]! << 16
  if (rest > 1) h ^= data[whole + 1]! << 8
  if (rest > 0) h = Math.imul(h ^ data[whole]!, m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return (h & 0x7fffffff) % partitions
}

/** Whether a group has committed all that a reader of committed records sees of these partitions. */
export const standsAtEnd = async (
  bootstrap: string,
  group: string,
  partitions: readonly TopicPartition[]
): Promise<boolean> => {
  const settings = { "bootstrap.servers": bootstrap, "group.id": group, "isolation.level": "read_committed" }
  const consumer = Consumer.open(settings)
  const committed = await consumer.committed(partitions, 30_000)
  const ends = await Promise.all(
    partitions.map(({ topic, partition }) => consumer.watermarkOffsets(topic, partition, 30_000))
  )
  await consumer.close()
  return committed.every(({ offset }, i) => offset === ends[i]!.high)
}
