import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { apiOf, HoldingProxy, startBehind } from "./proxy.ts"
import { createTopic, fresh, fromBeginning, openConsumer, openProducer, pack, readUntil } from "./support.ts"

setDefaultTimeout(60_000)

const END_TXN = 26
const T = 15_000

const proxy = new HoldingProxy(frame => apiOf(frame) === END_TXN)
let behind: Awaited<ReturnType<typeof startBehind>>
let bootstrap = ""
beforeAll(async () => {
  behind = await startBehind(proxy)
  bootstrap = behind.bootstrap
}, 180_000)
afterAll(() => behind?.stop())

test("a commit that librdkafka had to repeat succeeds and poisons its producer", async () => {
  const topic = await createTopic(bootstrap)
  const id = fresh("tx")
  const open = () => openProducer(bootstrap, { "transactional.id": id, "socket.timeout.ms": "1000" })
  const commitOne = async (producer: ReturnType<typeof open>, value: string) => {
    producer.begin()
    producer.produce(pack([{ topic: producer.topicId(topic), value }]), 0, 1)
    await producer.flush(T)
    await producer.commit(T)
  }
  const first = open()
  await first.initTransactions(T)
  await commitOne(first, "calm")
  expect(first.poisoned).toBe(false)
  proxy.hold()
  await commitOne(first, "torn")
  expect(proxy.held).toBe(true)
  expect(first.poisoned).toBe(true)
  await first.close()
  const second = open()
  await second.initTransactions(T)
  await commitOne(second, "mended")
  expect(second.poisoned).toBe(false)
  await second.close()
  const consumer = openConsumer(bootstrap)
  await consumer.assign(fromBeginning(topic))
  const { received } = await readUntil(consumer, all => all.length >= 3)
  expect(received.map(({ value }) => value)).toEqual(["calm", "torn", "mended"])
  await consumer.close()
})
