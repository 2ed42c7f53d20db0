import { afterAll, beforeAll, expect, test } from "bun:test"
import { SOURCE_DEFAULTS } from "../src/defaults.ts"
import { Arena, Consumer } from "../src/index.ts"
import { apiOf, HoldingProxy, startBehind } from "./proxy.ts"
import { createTopic, fresh, openProducer, pack, readUntil } from "./support.ts"

const METADATA = 3
/** While so many are read out of an answer, the broker is on its way out: that ends what would begin again. */
const PARTITIONS = 300
/** Five times the time that librdkafka takes to begin again where it does. */
const DEADLINE_MS = 20_000

/** As long as this is so, the broker says of the cluster what one says that has just come back alone: topics, and no broker. */
let isAlone = false
let told = () => {}
const proxy = new HoldingProxy(
  () => false,
  (answer, request) => {
    if (!isAlone || apiOf(request) !== METADATA) return answer
    told()
    return withoutBrokers(answer)
  }
)

let behind: Awaited<ReturnType<typeof startBehind>>
beforeAll(async () => {
  behind = await startBehind(proxy)
})
afterAll(() => behind?.stop())

test.each([
  ["has read all", false],
  ["does not take what it has fetched", true]
])("told of no brokers any more, a client that %s asks the bootstrap servers again", async (_, leaves) => {
  const topic = await createTopic(behind.bootstrap, PARTITIONS)
  const consumer = Consumer.open({
    ...SOURCE_DEFAULTS,
    "bootstrap.servers": behind.bootstrap,
    "group.id": fresh("group"),
    "topic.metadata.refresh.interval.ms": "200"
  })
  // It asks about the topics that it knows of.
  await consumer.assign([{ topic, partition: 0, offset: 0 }])
  if (leaves) await leaveOne(consumer, topic)
  const range = () => consumer.watermarkOffsets(topic, 0, 1_000)
  const answers = async () => {
    const until = performance.now() + DEADLINE_MS
    // What asks while a broker is let go of fails at once.
    while (!(await range().catch(() => false)) && performance.now() < until)
      await new Promise(done => setTimeout(done, 20))
    return performance.now() < until
  }
  expect(await answers()).toBe(true)
  for (let round = 0; round < 3; round++) {
    const twice = new Promise<void>(resolve => {
      let times = 0
      told = () => ++times === 2 && resolve()
    })
    isAlone = true
    await twice
    isAlone = false
    expect(await answers()).toBe(true)
  }
  await consumer.close()
})

/** Of two records that come in one answer, the client hands over one. The other keeps the broker that it came from. */
const leaveOne = async (consumer: Consumer, topic: string): Promise<void> => {
  const producer = openProducer(behind.bootstrap)
  const id = producer.topicId(topic)
  const records = ["taken", "left"].map(value => ({ topic: id, partition: 0, value }))
  producer.produce(pack(records), 0, records.length)
  await producer.flush(10_000)
  await producer.close()
  await readUntil(consumer, received => received.length === 1, { arena: new Arena(1 << 10, 1) })
}

/** Length, correlation, tags, throttling; then the brokers: flexible versions, from 9. */
const BROKERS_AT = 4 + 4 + 1 + 4

const withoutBrokers = (answer: Buffer): Buffer => {
  const count = answer.readUInt8(BROKERS_AT) - 1
  let end = BROKERS_AT + 1
  for (let i = 0; i < count; i++) end = afterBroker(answer, end)
  const emptied = Buffer.concat([answer.subarray(0, BROKERS_AT), Buffer.of(1), answer.subarray(end)])
  emptied.writeInt32BE(emptied.length - 4, 0)
  return emptied
}

/** Node, host, port, rack (there is none), tags. */
const afterBroker = (answer: Buffer, at: number): number => at + 4 + answer.readUInt8(at + 4) + 4 + 1 + 1
