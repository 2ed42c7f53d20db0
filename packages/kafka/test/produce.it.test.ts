import { afterAll, beforeAll, expect, test } from "bun:test"
import { startKafka } from "@headrace/dev"
import { STRIDE, VALUE_LENGTH } from "@headrace/engine"
import fc from "fast-check"
import { type Header, KafkaError, type OutArena, type Producer } from "../src/index.ts"
import {
  createTopic,
  fresh,
  fromBeginning,
  murmur2Partition,
  openConsumer,
  openProducer,
  pack,
  type Received,
  readUntil
} from "./support.ts"

// Records go in many at once where they can, and one by one where they cannot: from outside nobody can tell.

let bootstrap = ""
let stop = async () => {}
beforeAll(async () => {
  const kafka = await startKafka()
  bootstrap = kafka.bootstrap
  stop = () => kafka.stop()
})
afterAll(() => stop())

const T = 30_000
const PARTITIONS = 3
const MAX_BYTES = 600

/** Without a time: it is what tells one from the others, and grows from record to record. */
const record = fc.record({
  topic: fc.constantFrom(0, 0, 0, 1),
  partition: fc.constantFrom(-1, -1, -1, 0, 1, 2),
  key: fc.oneof({ weight: 6, arbitrary: fc.string({ maxLength: 12 }) }, fc.constantFrom(null, "")),
  value: fc.oneof({ weight: 6, arbitrary: fc.string({ maxLength: 60 }) }, fc.constantFrom(null, "")),
  headers: fc.constantFrom<Header[]>(...Array(9).fill([]), [{ name: "h", value: new Uint8Array([1, 2]) }])
})
/** The value of a record whose place in the arena is none. */
const BEYOND = "beyond"
/** What is refused, each for another reason. */
const wrong = fc.constantFrom(
  { topic: 0, partition: -1, key: "k", value: BEYOND, headers: [] },
  { topic: 0, partition: PARTITIONS, key: "k", value: "v", headers: [] },
  { topic: 0, partition: -2, key: "k", value: "v", headers: [] },
  { topic: 9, partition: -1, key: "k", value: "v", headers: [] },
  { topic: 0, partition: -1, key: "k", value: "x".repeat(2 * MAX_BYTES), headers: [] }
)
const batch = fc.record({
  before: fc.array(record, { maxLength: 120 }),
  wrong: fc.array(wrong, { maxLength: 1 }),
  after: fc.array(record, { maxLength: 20 })
})

/** Offers all of it, and answers with the indices of what was refused. */
const offer = async (producer: Producer, out: OutArena, count: number): Promise<readonly number[]> => {
  const refused: number[] = []
  for (let from = 0; from < count; ) {
    try {
      from += producer.produce(out, from, count - from)
      if (from < count) await producer.drain(10, T)
    } catch (error) {
      if (!(error instanceof KafkaError) || error.record === undefined) throw error
      refused.push(error.record)
      from = error.record + 1
    }
  }
  return refused
}

test.each([
  ["all that comes", {}],
  ["a few records", { "queue.buffering.max.messages": "37" }]
])(
  "a queue with room for %s: what is good arrives once, in order, as it was; what is not is named",
  async (_, room) => {
    const topics = [await createTopic(bootstrap, PARTITIONS), await createTopic(bootstrap, PARTITIONS)]
    const id = { "transactional.id": fresh("produce"), "message.max.bytes": String(MAX_BYTES + 500) }
    const producer = openProducer(bootstrap, { ...id, ...room })
    const ids = topics.map(topic => producer.topicId(topic))
    await producer.initTransactions(T)
    const sent: Received[] = []
    const property = fc.asyncProperty(batch, async ({ before, wrong, after }) => {
      const good = [...before, ...after].map((one, i) => ({ ...one, timestampMs: 1_000 + sent.length + i }))
      const records = [...good.slice(0, before.length), ...wrong, ...good.slice(before.length)]
      producer.begin()
      const out = pack(records.map(one => ({ ...one, topic: ids[one.topic] ?? one.topic })))
      if (wrong[0]?.value === BEYOND) out.index[before.length * STRIDE + VALUE_LENGTH] = 1 << 30
      expect(await offer(producer, out, records.length)).toEqual(wrong.map(() => before.length))
      await producer.flush(T)
      expect(producer.pending).toBe(0)
      await producer.commit(T)
      for (const one of good) sent.push({ ...one, topic: topics[one.topic]!, offset: -1 })
    })
    await fc.assert(property, { numRuns: 50, seed: 11, endOnFailure: true })
    await producer.close()

    const consumer = openConsumer(bootstrap)
    await consumer.assign(topics.flatMap(topic => fromBeginning(topic, PARTITIONS)))
    const { received } = await readUntil(consumer, all => all.length >= sent.length)
    await consumer.close()
    const inOrder = [...received].sort((a, b) => a.offset - b.offset)
    for (const topic of topics)
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const times = inOrder.filter(one => one.topic === topic && one.partition === partition).map(timeOf)
        expect(times).toEqual([...times].sort((a, b) => a - b))
      }
    const byTime = [...received].sort((a, b) => timeOf(a) - timeOf(b))
    expect(byTime.map(withoutPlace)).toEqual(sent.map(withoutPlace))
    const places = sent.map(({ partition, key }) =>
      partition === -1 && key ? murmur2Partition(key, PARTITIONS) : partition
    )
    // Of one that has neither partition nor key, librdkafka chooses.
    expect(byTime.map(({ partition }, i) => (places[i] === -1 ? -1 : partition))).toEqual(places)
  }
)

const timeOf = ({ timestampMs }: Received): number => timestampMs
const withoutPlace = ({ topic, key, value, headers, timestampMs }: Received) => ({
  topic,
  key,
  value,
  headers,
  timestampMs
})

test("a record without a time has that at which it was sent", async () => {
  const topic = await createTopic(bootstrap)
  const producer = openProducer(bootstrap)
  const id = producer.topicId(topic)
  const untimed = pack(Array.from({ length: 20 }, () => ({ topic: id, key: "k", timestampMs: 0 })))
  // The first ones wait until the topic is known, the others go straight to its partition.
  for (let round = 0; round < 2; round++) {
    expect(producer.produce(untimed, 0, 20)).toBe(20)
    await producer.flush(T)
  }
  await producer.close()
  const consumer = openConsumer(bootstrap)
  await consumer.assign(fromBeginning(topic))
  const { received } = await readUntil(consumer, all => all.length >= 40)
  await consumer.close()
  for (const { timestampMs } of received) expect(Math.abs(timestampMs - Date.now())).toBeLessThan(120_000)
})

/** More than one call of the native part takes at once (RUN in produce.rs). */
const ROOM = 1_500

test("a queue has all its room again for what follows, whether what was in it was delivered or given up", async () => {
  const topic = await createTopic(bootstrap, PARTITIONS)
  const producer = openProducer(bootstrap, { "linger.ms": "5000", "queue.buffering.max.messages": String(ROOM) })
  const records = (value: string) =>
    pack(Array.from({ length: ROOM }, (_, i) => ({ topic: producer.topicId(topic), key: `${i}`, value })))
  const first = records("known")
  expect(producer.produce(first, 0, 1)).toBe(1)
  await producer.flush(T)
  const kept: string[] = ["known"]
  for (const value of ["given up", "delivered", "given up", "delivered"]) {
    const out = records(value)
    expect(producer.produce(out, 0, ROOM)).toBe(ROOM)
    expect(producer.produce(out, 0, 1)).toBe(0)
    if (value === "given up") {
      producer.purge()
      const message = expect.stringContaining(`${ROOM} messages were not delivered`)
      await expect(producer.flush(T)).rejects.toMatchObject({ message })
    } else {
      await producer.flush(T)
      kept.push(...Array(ROOM).fill(value))
    }
    expect(producer.pending).toBe(0)
  }
  await producer.close()
  const consumer = openConsumer(bootstrap)
  await consumer.assign(fromBeginning(topic, PARTITIONS))
  const { received } = await readUntil(consumer, all => all.length >= kept.length)
  await consumer.close()
  expect(received.map(({ value }) => value).sort()).toEqual(kept.sort())
})

test("the memory of what was delivered is used again", async () => {
  const topic = await createTopic(bootstrap, PARTITIONS)
  const producer = openProducer(bootstrap)
  const id = producer.topicId(topic)
  const out = pack(Array.from({ length: 20_000 }, (_, i) => ({ topic: id, key: `${i}`, value: "x".repeat(200) })))
  const sendAll = async (times: number) => {
    for (let time = 0; time < times; time++) {
      expect(producer.produce(out, 0, 20_000)).toBe(20_000)
      await producer.flush(T)
    }
  }
  await sendAll(10)
  const before = process.memoryUsage.rss()
  await sendAll(50)
  // A million messages: half a gigabyte.
  expect(process.memoryUsage.rss() - before).toBeLessThan(200 << 20)
  await producer.close()
})
