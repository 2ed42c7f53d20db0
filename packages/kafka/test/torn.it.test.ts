import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test"
import type { Producer } from "../src/index.ts"
import { apiOf, HoldingProxy, startBehind } from "./proxy.ts"
import { createTopic, fresh, fromBeginning, openConsumer, openProducer, pack, readUntil } from "./support.ts"

const END_TXN = 26
const TXN_OFFSET_COMMIT = 28
const T = 30_000
/** After which librdkafka repeats what was not answered: longer than a busy broker takes for what is not held back. */
const UNANSWERED_MS = 4_000

/** The kind of request that is held back when the proxy is told to. */
let held = END_TXN
const proxy = new HoldingProxy(frame => apiOf(frame) === held)
let behind: Awaited<ReturnType<typeof startBehind>>
let bootstrap = ""
beforeAll(async () => {
  behind = await startBehind(proxy)
  bootstrap = behind.bootstrap
})
afterEach(() => proxy.release())
afterAll(() => behind?.stop())

/** A source's group, a topic that is written to, and the producers of one transactional id. */
const open = async () => {
  const topic = await createTopic(bootstrap)
  const group = openConsumer(bootstrap)
  const id = fresh("tx")
  const source = { topic, partition: 0 }
  const session = async (): Promise<Producer> => {
    const producer = openProducer(bootstrap, {
      "transactional.id": id,
      "socket.timeout.ms": String(UNANSWERED_MS),
      // Nobody else ends what was torn.
      "transaction.timeout.ms": "300000"
    })
    await producer.initTransactions(T)
    return producer
  }
  const write = async (producer: Producer, value: string): Promise<void> => {
    producer.begin()
    producer.produce(pack([{ topic: producer.topicId(topic), value }]), 0, 1)
    await producer.flush(T)
  }
  const sendOffset = (producer: Producer, offset: number) => producer.sendOffsets([{ ...source, offset }], group, T)
  const committed = async (): Promise<unknown> => (await group.committed([source], T))[0]?.offset
  const values = async (count: number): Promise<unknown[]> => {
    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic))
    const { received } = await readUntil(consumer, all => all.length >= count)
    await consumer.close()
    return received.map(({ value }) => value)
  }
  return { session, write, sendOffset, committed, values, close: () => group.close() }
}

type Job = Awaited<ReturnType<typeof open>>

/** Two transactions; of the second one a request of this kind gets lost on the way, and librdkafka's own retry succeeds. */
const torn = async ({ write, sendOffset }: Job, producer: Producer, api: number): Promise<void> => {
  await write(producer, "calm")
  await sendOffset(producer, 1)
  await producer.commit(T)
  expect(producer.poisoned).toBe(false)
  held = api
  proxy.hold()
  await write(producer, "torn")
  await sendOffset(producer, 2)
  await producer.commit(T)
  expect(proxy.held).toBe(true)
  expect(producer.poisoned).toBe(true)
}

test.each([
  ["AddPartitionsToTxn", 24],
  ["AddOffsetsToTxn", 25],
  ["EndTxn", END_TXN],
  ["TxnOffsetCommit", TXN_OFFSET_COMMIT]
])(
  "%s that librdkafka had to repeat succeeds and poisons its producer; a new session is safe from the first copy",
  async (_, api) => {
    const job = await open()
    const first = await job.session()
    await torn(job, first, api)
    await first.close()
    const second = await job.session()
    await job.write(second, "mended")
    if (api !== TXN_OFFSET_COMMIT) await proxy.release()
    await job.sendOffset(second, 3)
    await proxy.release()
    await second.commit(T)
    expect(second.poisoned).toBe(false)
    expect(await job.values(3)).toEqual(["calm", "torn", "mended"])
    expect(await job.committed()).toBe(3)
    await Promise.all([second.close(), job.close()])
  }
)

describe("in the same session", () => {
  test("the first copy of an EndTxn commits what it knows nothing of, without offsets", async () => {
    const job = await open()
    const producer = await job.session()
    await torn(job, producer, END_TXN)
    await job.write(producer, "half")
    await proxy.release()
    expect(await job.values(3)).toEqual(["calm", "torn", "half"])
    expect(await job.committed()).toBe(2)
    await Promise.all([producer.close(), job.close()])
  })

  test("that of a TxnOffsetCommit takes offsets back", async () => {
    const job = await open()
    const producer = await job.session()
    await torn(job, producer, TXN_OFFSET_COMMIT)
    await job.write(producer, "next")
    await job.sendOffset(producer, 3)
    await proxy.release()
    await producer.commit(T)
    expect(await job.values(3)).toEqual(["calm", "torn", "next"])
    expect(await job.committed()).toBe(2)
    await Promise.all([producer.close(), job.close()])
  })
})
