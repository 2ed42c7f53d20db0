import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { startKafka } from "@headrace/dev"
import { Effect } from "effect"
import { Admin, Arena, Consumer, type ConsumerEvent, KafkaError, type TopicPartition } from "../src/index.ts"
import { openMembership } from "../src/membership.ts"
import { logError } from "../src/port-error.ts"
import {
  answerChange,
  createTopic,
  DEADLINE_MS,
  fresh,
  fromBeginning,
  ledIn,
  murmur2Partition,
  openConsumer,
  openProducer,
  pack,
  partitionsOf,
  readUntil,
  reasonOf
} from "./support.ts"

let bootstrap = ""
let stop = async () => {}
beforeAll(async () => {
  const kafka = await startKafka()
  bootstrap = kafka.bootstrap
  stop = () => kafka.stop()
})
afterAll(() => stop())

/** More than a busy machine needs: none of the calls is meant to time out. */
const T = 20_000

const produceAll = async (topic: string, values: readonly string[], config: Record<string, string> = {}) => {
  const producer = openProducer(bootstrap, config)
  const id = producer.topicId(topic)
  const out = pack(values.map(value => ({ topic: id, partition: 0, key: "k", value })))
  expect(producer.produce(out, 0, values.length)).toBe(values.length)
  await producer.flush(T)
  await producer.close()
}

describe("records", () => {
  test("keep key, value, headers and timestamp; null and empty stay apart", async () => {
    const topic = await createTopic(bootstrap)
    const producer = openProducer(bootstrap)
    const id = producer.topicId(topic)
    const headers = [
      { name: "a", value: new Uint8Array([1, 2, 3]) },
      { name: "a", value: null },
      { name: "", value: new Uint8Array() }
    ]
    const out = pack([
      { topic: id, partition: 0, key: "key", value: "value", headers, timestampMs: 1_700_000_000_123 },
      { topic: id, partition: 0, key: null, value: "" },
      { topic: id, partition: 0, key: "", value: null },
      { topic: id, partition: 0, key: null, value: null }
    ])
    expect(producer.produce(out, 0, 4)).toBe(4)
    await producer.flush(T)
    expect(producer.pending).toBe(0)
    await producer.close()

    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic))
    const { received } = await readUntil(consumer, all => all.length >= 4)
    await consumer.close()
    expect(received.map(({ key, value, offset }) => [key, value, offset])).toEqual([
      ["key", "value", 0],
      [null, "", 1],
      ["", null, 2],
      [null, null, 3]
    ])
    expect(received[0]).toMatchObject({ topic, partition: 0, timestampMs: 1_700_000_000_123, headers })
    expect(received[1]!.headers).toEqual([])
    expect(Math.abs(received[1]!.timestampMs - Date.now())).toBeLessThan(60_000)
  })

  for (const codec of ["none", "gzip", "snappy", "lz4", "zstd"]) {
    test(`travel compressed with ${codec}`, async () => {
      const topic = await createTopic(bootstrap)
      const values = Array.from({ length: 500 }, (_, i) => `value ${i} `.repeat(1 + (i % 20)))
      await produceAll(topic, values, { "compression.type": codec })
      const consumer = openConsumer(bootstrap)
      await consumer.assign(fromBeginning(topic))
      const { received } = await readUntil(consumer, all => all.length >= 500)
      await consumer.close()
      expect(received.map(({ value }) => value)).toEqual(values)
    })
  }

  test("land where Java's partitioner puts them", async () => {
    const topic = await createTopic(bootstrap, 7)
    const producer = openProducer(bootstrap)
    const id = producer.topicId(topic)
    const keys = ["a", "account-17", "merchant/9", "ü", "0123456789"]
    producer.produce(pack(keys.map(key => ({ topic: id, key, value: key }))), 0, keys.length)
    await producer.flush(T)
    await producer.close()
    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic, 7))
    const { received } = await readUntil(consumer, all => all.length >= keys.length)
    await consumer.close()
    const places = Object.fromEntries(received.map(({ key, partition }) => [key, partition]))
    expect(places).toEqual(Object.fromEntries(keys.map(key => [key, murmur2Partition(key, 7)])))
  })

  test("that are too large are refused with their index, and those before them are sent", async () => {
    const topic = await createTopic(bootstrap)
    const producer = openProducer(bootstrap, { "message.max.bytes": "10000" })
    const id = producer.topicId(topic)
    const out = pack([
      { topic: id, value: "small" },
      { topic: id, value: "x".repeat(20_000) },
      { topic: id, value: "small" }
    ])
    const error = await Promise.resolve()
      .then(() => producer.produce(out, 0, 3))
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(KafkaError)
    expect(error).toMatchObject({ reason: "RecordTooLarge", record: 1 })
    expect(producer.produce(out, 2, 1)).toBe(1)
    await producer.flush(T)
    await producer.close()
    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic))
    expect((await readUntil(consumer, all => all.length >= 2)).received.map(({ value }) => value)).toEqual([
      "small",
      "small"
    ])
    await consumer.close()
  })

  test("stop being accepted when the queue is full, and flow again after a drain", async () => {
    const topic = await createTopic(bootstrap)
    const producer = openProducer(bootstrap, { "queue.buffering.max.messages": "100", "linger.ms": "100" })
    const id = producer.topicId(topic)
    const out = pack(Array.from({ length: 350 }, (_, i) => ({ topic: id, partition: 0, value: `${i}` })))
    expect(producer.produce(out, 0, 350)).toBe(100)
    for (let from = 100; from < 350; ) {
      await producer.drain(50, T)
      from += producer.produce(out, from, 350 - from)
    }
    await producer.flush(T)
    await producer.close()
    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic))
    const { received } = await readUntil(consumer, all => all.length >= 350)
    expect(received.map(({ value }) => Number(value))).toEqual(Array.from({ length: 350 }, (_, i) => i))
    await consumer.close()
  })

  test("that cannot be delivered make flush fail", async () => {
    const topic = await createTopic(bootstrap, 1, { "max.message.bytes": "1000" })
    const producer = openProducer(bootstrap, { "compression.type": "none" })
    const id = producer.topicId(topic)
    producer.produce(pack([{ topic: id, value: "x".repeat(5000) }]), 0, 1)
    expect(await reasonOf(() => producer.flush(T))).toBe("RecordTooLarge")
    await producer.close()
  })
})

test("producing to a topic that is missing fails, and does not make it", async () => {
  const producer = openProducer(bootstrap)
  const missing = fresh("missing")
  const id = producer.topicId(missing)
  producer.produce(pack([{ topic: id, value: "v" }]), 0, 1)
  expect(await reasonOf(() => producer.flush(40_000))).toBe("UnknownTopic")
  await producer.close()
  const admin = Admin.open({ "bootstrap.servers": bootstrap })
  expect((await admin.metadata([missing])).topics[0]!.error?.reason).toBe("UnknownTopic")
  await admin.close()
})

describe("an arena", () => {
  test("that is too small for a message keeps it and says how large it must be", async () => {
    const topic = await createTopic(bootstrap)
    await produceAll(topic, ["tiny", "x".repeat(5000), "tiny"])
    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic))
    const small = new Arena(100, 10)
    const first = await readUntil(consumer, all => all.length >= 1, { arena: small })
    expect(first.received.map(({ value }) => value)).toEqual(["tiny"])
    for (let i = 0; i < 3; i++) {
      const error = await consumer.poll(small, 10, DEADLINE_MS).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ reason: "ArenaTooSmall", needed: 5001 })
    }
    const rest = await readUntil(consumer, all => all.length >= 2, { arena: new Arena(5001, 10) })
    expect(rest.received.map(({ value }) => value?.length)).toEqual([5000, 4])
    await consumer.close()
  })

  test("that fills up leaves the rest, in order, for the next poll", async () => {
    const topic = await createTopic(bootstrap)
    const values = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(1 + (i % 97), "."))
    await produceAll(topic, values)
    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic))
    const { received } = await readUntil(consumer, all => all.length >= 1000, { arena: new Arena(300, 7) })
    expect(received.map(({ value }) => value)).toEqual(values)
    expect(received.map(({ offset }) => offset)).toEqual(values.map((_, i) => i))
    await consumer.close()
  })
})

describe("transactions", () => {
  const transactional = () => openProducer(bootstrap, { "transactional.id": fresh("tx") })

  test("show what was committed and hide what was aborted", async () => {
    const topic = await createTopic(bootstrap)
    const producer = transactional()
    const id = producer.topicId(topic)
    await producer.initTransactions(T)
    for (const [value, keep] of [
      ["one", true],
      ["two", false],
      ["three", true]
    ] as const) {
      producer.begin()
      expect(producer.produce(pack([{ topic: id, value }]), 0, 1)).toBe(1)
      await producer.flush(T)
      await (keep ? producer.commit(T) : producer.abort(T))
    }
    expect(producer.poisoned).toBe(false)
    await producer.close()
    for (const [level, expected] of [
      ["read_committed", ["one", "three"]],
      ["read_uncommitted", ["one", "two", "three"]]
    ] as const) {
      const consumer = openConsumer(bootstrap, { "isolation.level": level, "enable.partition.eof": "true" })
      await consumer.assign(fromBeginning(topic))
      const { received } = await readUntil(consumer, (_, events) => events.some(({ type }) => type === "end"))
      expect(received.map(({ value }) => value)).toEqual([...expected])
      await consumer.close()
    }
  })

  test("carry consumed offsets, fenced by the group", async () => {
    const [input, output] = [await createTopic(bootstrap), await createTopic(bootstrap)]
    await produceAll(input, ["a", "b", "c"])
    const group = fresh("group")
    const consumer = openConsumer(bootstrap, { "group.id": group })
    await consumer.subscribe([input])
    await readUntil(consumer, all => all.length >= 3)
    const producer = transactional()
    const id = producer.topicId(output)
    await producer.initTransactions(T)
    producer.begin()
    producer.produce(pack([{ topic: id, value: "abc" }]), 0, 1)
    await producer.flush(T)
    const offset = { topic: input, partition: 0, offset: 3, metadata: "planned: 3 – ünïcode" }
    await producer.sendOffsets([offset], consumer.groupMetadata(), T)
    await producer.commit(T)
    expect(await consumer.committed(partitionsOf(input, 1), T)).toEqual([offset])

    const stale = consumer.groupMetadata()
    await consumer.close()
    producer.begin()
    producer.produce(pack([{ topic: id, value: "zombie" }]), 0, 1)
    await producer.flush(T)
    const error = await producer.sendOffsets([offset], stale, T).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ reason: "IllegalGeneration", abortable: true })
    await producer.abort(T)
    await producer.close()
  })

  test("are refused, not fenced, when the group has another member under the consumer's name", async () => {
    const input = await createTopic(bootstrap)
    await produceAll(input, ["a"])
    const settings = { "group.id": fresh("group"), "group.instance.id": "one", "group.protocol": "classic" }
    const [old, young] = [settings, settings].map(one => openConsumer(bootstrap, one))
    await old!.subscribe([input])
    await readUntil(old!, all => all.length >= 1)
    const stale = old!.groupMetadata()
    await young!.subscribe([input])
    await readUntil(young!, all => all.length >= 1)
    const producer = transactional()
    await producer.initTransactions(T)
    producer.begin()
    const offset = { topic: input, partition: 0, offset: 1 }
    const error = await producer.sendOffsets([offset], stale, T).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ reason: "IllegalGeneration", code: { name: "FENCED_INSTANCE_ID" }, abortable: true })
    expect(logError("send offsets", error).failure).toBe("Abort")
    await producer.abort(T)
    await Promise.all([producer.close(), old!.close(), young!.close()])
  })

  test("are told of while they are open, by what their ids begin with", async () => {
    const topic = await createTopic(bootstrap)
    const prefix = `${fresh("tx")}..`
    const producers = ["a", "b"].map(name => openProducer(bootstrap, { "transactional.id": prefix + name }))
    const admin = Admin.open({ "bootstrap.servers": bootstrap })
    for (const producer of producers) await producer.initTransactions(T)
    expect(await admin.transactions(prefix)).toEqual({ ids: [], silent: null })
    for (const producer of producers) {
      const id = producer.topicId(topic)
      producer.begin()
      producer.produce(pack([{ topic: id, value: "open" }]), 0, 1)
      await producer.flush(T)
    }
    expect((await admin.transactions(prefix))?.ids.toSorted()).toEqual([`${prefix}a`, `${prefix}b`])
    expect(await admin.transactions(`${prefix}b`)).toEqual({ ids: [`${prefix}b`], silent: null })
    const [first, second] = producers
    await first!.commit(T)
    await second!.abort(T)
    expect(await admin.transactions(prefix)).toEqual({ ids: [], silent: null })
    await Promise.all([admin, ...producers].map(client => client.close()))
  })

  test("of a producer that was replaced are fenced", async () => {
    const topic = await createTopic(bootstrap)
    const name = fresh("tx")
    const [old, young] = [name, name].map(id => openProducer(bootstrap, { "transactional.id": id }))
    const id = old!.topicId(topic)
    await old!.initTransactions(T)
    old!.begin()
    old!.produce(pack([{ topic: id, value: "old" }]), 0, 1)
    await old!.flush(T)
    await young!.initTransactions(T)
    expect(await reasonOf(() => old!.commit(T))).toBe("Fenced")
    expect(old!.fatalError()?.reason).toBe("Fenced")
    await Promise.all([old!.close(), young!.close()])
  })
})

describe("a group", () => {
  for (const [name, config] of [
    ["classic, cooperative", { "partition.assignment.strategy": "cooperative-sticky" }],
    ["classic, eager", { "partition.assignment.strategy": "range" }],
    ["KIP-848", { "group.protocol": "consumer" }]
  ] as const) {
    test(`(${name}) moves partitions to a second consumer and back`, async () => {
      const topic = await createTopic(bootstrap, 4)
      const group = fresh("group")
      const settings: Record<string, string> = { "group.id": group, ...config }
      const make = (identity: Record<string, string>) =>
        (name === "KIP-848" ? openNewProtocol : open)({ ...settings, ...identity })
      const first = make({ "group.instance.id": "one", "client.id": "one" })
      await first.subscribe([topic])
      await readUntil(first, () => first.assignment().length === 4)
      const second = make({ "client.id": "two" })
      await second.subscribe([topic])
      await bothUntil([first, second], () => first.assignment().length === 2 && second.assignment().length === 2)
      const owned = [...first.assignment(), ...second.assignment()].map(({ partition }) => partition)
      expect(owned.sort()).toEqual([0, 1, 2, 3])
      expect(first.memberId()).not.toBe(second.memberId())
      expect(byName(await admin.members(group))).toEqual({
        one: sorted(first.assignment()),
        two: sorted(second.assignment())
      })
      await second.close()
      await readUntil(first, () => first.assignment().length === 4)
      expect(first.assignmentLost()).toBe(false)
      expect(byName(await admin.members(group))).toEqual({ one: sorted(first.assignment()) })
      await first.close()
      // It is static: it counts until its session is over.
      expect(Object.keys(byName(await admin.members(group)) ?? {})).toEqual(["one"])
    })
  }

  test("that is not there has no members", async () => {
    expect(await admin.members(fresh("group"))).toEqual([])
  })

  let admin: Admin
  beforeAll(() => {
    admin = Admin.open({ "bootstrap.servers": bootstrap })
  })
  afterAll(() => admin.close())

  const byName = (members: Awaited<ReturnType<Admin["members"]>>) =>
    members && Object.fromEntries(members.map(({ name, partitions }) => [name, sorted(partitions)]))
  const sorted = (partitions: readonly TopicPartition[]) => partitions.toSorted((a, b) => a.partition - b.partition)

  const open = (settings: Record<string, string>) => openConsumer(bootstrap, settings)

  const openNewProtocol = (settings: Record<string, string>) =>
    Consumer.open({
      "bootstrap.servers": bootstrap,
      "enable.auto.commit": "false",
      "auto.offset.reset": "error",
      ...settings
    })

  const bothUntil = async (consumers: readonly Consumer[], done: () => boolean) => {
    const arenas = consumers.map(() => new Arena(1 << 16, 100))
    const until = performance.now() + DEADLINE_MS
    while (!done()) {
      if (performance.now() > until) throw new Error("the group did not settle")
      const polls = await Promise.all(consumers.map((consumer, i) => consumer.poll(arenas[i]!, 100, 100)))
      for (const [i, { events }] of polls.entries()) {
        for (const event of events) await answerChange(consumers[i]!, event)
      }
    }
  }

  test("waits in a rebalance until the revocation is answered", async () => {
    const topic = await createTopic(bootstrap, 2)
    const group = fresh("group")
    const settings = { "group.id": group, "partition.assignment.strategy": "cooperative-sticky" }
    const [first, second] = [openConsumer(bootstrap, settings), openConsumer(bootstrap, settings)]
    await first.subscribe([topic])
    await readUntil(first, () => first.assignment().length === 2)
    await second.subscribe([topic])
    const other = new Arena(1 << 16, 100)
    let pending: ConsumerEvent | undefined
    const mine = new Arena(1 << 16, 100)
    while (pending === undefined) {
      const [a] = await Promise.all([
        first.poll(mine, 100, 100),
        second.poll(other, 100, 100).then(p => answerAll(second, p.events))
      ])
      pending = a.events.find(({ type }) => type === "revoke")
    }
    for (let i = 0; i < 5; i++) await answerAll(second, (await second.poll(other, 100, 50)).events)
    expect(second.assignment()).toEqual([])
    await answerChange(first, pending)
    await bothUntil([first, second], () => second.assignment().length === 1)
    await Promise.all([first.close(), second.close()])
  })

  const answerAll = async (consumer: Consumer, events: readonly ConsumerEvent[]) => {
    for (const event of events) await answerChange(consumer, event)
  }

  test("keeps committed offsets with their metadata", async () => {
    const topic = await createTopic(bootstrap, 2)
    const consumer = openConsumer(bootstrap)
    await consumer.subscribe([topic])
    await readUntil(consumer, () => consumer.assignment().length === 2)
    await consumer.commit([{ topic, partition: 0, offset: 42, metadata: "until 50" }], T)
    const [zero, one] = await consumer.committed(partitionsOf(topic, 2), T)
    expect(zero).toEqual({ topic, partition: 0, offset: 42, metadata: "until 50" })
    expect(one!.offset).toBe(-1001)
    await consumer.close()
  })
})

describe("positions", () => {
  test("seek, pause and resume", async () => {
    const topic = await createTopic(bootstrap, 2)
    const producer = openProducer(bootstrap)
    const id = producer.topicId(topic)
    const out = pack(Array.from({ length: 200 }, (_, i) => ({ topic: id, partition: i % 2, value: `${i >> 1}` })))
    producer.produce(out, 0, 200)
    await producer.flush(T)
    await producer.close()
    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic, 2))
    // A tiny arena: messages are held back when the pause and the seek come.
    const arena = new Arena(1 << 12, 3)
    await readUntil(consumer, all => all.length >= 3, { arena })
    await consumer.pause([{ topic, partition: 1 }])
    const calm = await readUntil(consumer, all => all.some(m => m.partition === 0 && m.offset === 99), { arena })
    expect(calm.received.filter(({ partition }) => partition === 1)).toEqual([])
    await consumer.seek([{ topic, partition: 0, offset: 90 }], T)
    const again = await readUntil(consumer, all => all.length >= 10, { arena })
    expect(again.received.map(({ partition, offset }) => [partition, offset])).toEqual(
      Array.from({ length: 10 }, (_, i) => [0, 90 + i])
    )
    expect(consumer.position([{ topic, partition: 0 }])[0]!.offset).toBe(100)
    await consumer.resume([{ topic, partition: 1 }])
    const rest = await readUntil(consumer, all => all.some(({ offset }) => offset === 99), { arena })
    const offsets = rest.received.map(({ offset }) => offset)
    expect(offsets).toEqual(Array.from({ length: offsets.length }, (_, i) => offsets[0]! + i))
    expect(offsets[0]).toBeLessThanOrEqual(3)
    await consumer.close()
  })

  test("a seek drops what was fetched before it but not polled yet", async () => {
    const topic = await createTopic(bootstrap)
    await produceAll(
      topic,
      Array.from({ length: 100 }, (_, i) => `${i}`)
    )
    const consumer = openConsumer(bootstrap)
    await consumer.assign(fromBeginning(topic))
    // The second message does not fit beside the first: the add-on holds the whole chunk that it has taken.
    const arena = new Arena(3, 10)
    await readUntil(consumer, all => all.length >= 2, { arena })
    await consumer.seek([{ topic, partition: 0, offset: 90 }], T)
    const { received } = await readUntil(consumer, all => all.length >= 1, { arena })
    expect(received[0]!.offset).toBe(90)
    await consumer.close()
  })

  test("by time, at the log's ends, and after records were deleted", async () => {
    const topic = await createTopic(bootstrap)
    const producer = openProducer(bootstrap)
    const id = producer.topicId(topic)
    const start = Date.now() - 60_000
    const times = Array.from({ length: 10 }, (_, i) => start + i * 1000)
    producer.produce(pack(times.map(timestampMs => ({ topic: id, value: "v", timestampMs }))), 0, 10)
    await producer.flush(T)
    await producer.close()
    const consumer = openConsumer(bootstrap, { "enable.partition.eof": "true" })
    const [at] = await consumer.offsetsForTimes([{ topic, partition: 0, timestampMs: start + 3500 }], T)
    expect(at!.offset).toBe(4)
    expect(await consumer.watermarkOffsets(topic, 0, T)).toEqual({ low: 0, high: 10 })

    const admin = Admin.open({ "bootstrap.servers": bootstrap })
    expect(await admin.deleteRecords([{ topic, partition: 0, offset: 6 }])).toMatchObject([{ topic, offset: 6 }])
    expect(await consumer.watermarkOffsets(topic, 0, T)).toEqual({ low: 6, high: 10 })
    await consumer.assign([{ topic, partition: 0, offset: 2 }])
    const { events } = await readUntil(consumer, (_, all) => all.some(({ type }) => type === "error"))
    expect(events.find(({ type }) => type === "error")).toMatchObject({
      error: { reason: "OffsetOutOfRange" },
      partition: { topic, partition: 0 }
    })
    await consumer.unassign([{ topic, partition: 0 }])
    await consumer.assign([{ topic, partition: 0, offset: "end" }])
    const end = await readUntil(consumer, (_, all) => all.some(({ type }) => type === "end"))
    expect(end.events.find(({ type }) => type === "end")).toEqual({ type: "end", topic, partition: 0, offset: 10 })
    expect([consumer.knownEnd(topic, 0), consumer.knownEnd(topic, 7)]).toEqual([10, undefined])
    await Promise.all([consumer.close(), admin.close()])
  })

  test("the end for a committed reader is the last stable offset", async () => {
    const topic = await createTopic(bootstrap)
    await produceAll(topic, ["before"])
    // Open for as long as it is looked at.
    const settings = { "transactional.id": fresh("tx"), "transaction.timeout.ms": "300000" }
    const producer = openProducer(bootstrap, settings)
    const id = producer.topicId(topic)
    await producer.initTransactions(T)
    producer.begin()
    producer.produce(pack([{ topic: id, value: "open" }]), 0, 1)
    await producer.flush(T)
    const [committed, uncommitted] = ["read_committed", "read_uncommitted"].map(level =>
      openConsumer(bootstrap, { "isolation.level": level })
    )
    expect(await committed!.watermarkOffsets(topic, 0, T)).toEqual({ low: 0, high: 1 })
    expect(await uncommitted!.watermarkOffsets(topic, 0, T)).toEqual({ low: 0, high: 2 })
    // A member that fetches nothing is told of what is not decided yet, too.
    const options = { topics: [topic], group: fresh("group"), member: "one", sessionTimeoutMs: 10_000 }
    const ends = Effect.gen(function* () {
      const member = yield* openMembership({ bootstrap, settings: {} }, options)
      return [yield* member.ends([{ topic, partition: 0 }]), member.knownEnd({ topic, partition: 0 })]
    })
    expect(await Effect.runPromise(Effect.scoped(ends))).toEqual([[2], undefined])
    await producer.abort(T)
    await Promise.all([producer.close(), committed!.close(), uncommitted!.close()])
  })
})

describe("the admin client", () => {
  test("creates, describes and deletes topics", async () => {
    const admin = Admin.open({ "bootstrap.servers": bootstrap })
    const topic = fresh("admin")
    await admin.createTopics([{ topic, partitions: 3, replication: 1, config: { "cleanup.policy": "compact" } }])
    const again = await admin.createTopics([{ topic, partitions: 3 }]).catch((thrown: unknown) => thrown)
    expect(again).toMatchObject({ reason: "TopicExists", message: expect.stringContaining(topic) })
    await ledIn(admin, topic, 3)
    const { brokers, topics } = await admin.metadata([topic, "there-is-no-such-topic"])
    expect(brokers.length).toBeGreaterThan(0)
    expect(topics[0]!.partitions.map(({ partition }) => partition).sort()).toEqual([0, 1, 2])
    expect(topics[1]!.error?.reason).toBe("UnknownTopic")
    expect((await admin.metadata(["there-is-no-such-topic"])).topics[0]!.error?.reason).toBe("UnknownTopic")
    expect((await admin.metadata("all")).topics.map(one => one.topic)).toContain(topic)
    const settings = (await admin.settings([topic])).get(topic)!
    expect(settings).toMatchObject({ "cleanup.policy": "compact", "retention.bytes": "-1" })
    await admin.deleteTopics([topic])
    expect(await reasonOf(() => admin.deleteTopics([topic]))).toBe("UnknownTopic")
    await ledIn(admin, topic, 0)
    expect(await reasonOf(() => admin.settings([topic]))).toBe("UnknownTopic")
    await admin.close()
  })
})

describe("statistics", () => {
  test("arrive as events", async () => {
    const consumer = openConsumer(bootstrap, { "statistics.interval.ms": "100" })
    const { events } = await readUntil(consumer, (_, all) => all.some(({ type }) => type === "stats"))
    const stats = events.find(({ type }) => type === "stats") as Extract<ConsumerEvent, { type: "stats" }>
    expect(JSON.parse(stats.json)).toHaveProperty("rxmsgs")
    await consumer.close()
  })
})
