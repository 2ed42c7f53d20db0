import { expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { STRIDE } from "@headrace/engine"
import { Admin, Arena, Consumer, KafkaError, Producer } from "../src/index.ts"
import { native } from "../src/native.ts"
import { reasonOf } from "./support.ts"

// Nothing listens there: these tests need no broker.
const nowhere = { "bootstrap.servers": "127.0.0.1:1" }
const openConsumer = () => Consumer.open({ ...nowhere, "group.id": "misuse" })
const openProducer = (config: Record<string, string> = {}) => Producer.open({ ...nowhere, ...config })
const at = { topic: "t", partition: 0 }
/** Of what ends at once; a busy machine may take its time. */
const ENDS_WITHIN_MS = 60_000

// The first of all: threads of clients that other tests have let go of end when they may.
test("clients that nobody holds any more end their threads", async () => {
  const threads = () => readdirSync("/proc/self/task").length
  const open = () => Array.from({ length: 10 }, () => [openConsumer(), openProducer()]).length
  const before = threads()
  expect(open()).toBe(10)
  const during = threads()
  expect(during - before).toBeGreaterThan(20)
  const until = performance.now() + 120_000
  // A few may be kept by chance: the collector is a conservative one.
  while (threads() - before > (during - before) / 2) {
    if (performance.now() > until) throw new Error(`${threads()} of ${during} threads, ${before} at first`)
    Bun.gc(true)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
})

test("a setting that does not exist is named", () => {
  expect(() => Producer.open({ ...nowhere, "no.such.setting": "1" })).toThrow(/no\.such\.setting/)
  expect(() => Consumer.open({ ...nowhere, "group.id": "g", "isolation.level": "sometimes" })).toThrow(
    /isolation\.level/
  )
  expect(() => Consumer.open(nowhere)).toThrow(/group\.id/)
  const wrong = { ...nowhere, "group.id": 5 } as unknown as Record<string, string>
  expect(() => Consumer.open(wrong)).toThrow(/group\.id must be a string/)
  expect(() => Producer.open({ "bootstrap.servers": "a\0b" })).toThrow(/NUL/)
})

test("a closed consumer refuses everything and stays closed", async () => {
  const consumer = openConsumer()
  const arena = new Arena(1000, 10)
  await consumer.close(ENDS_WITHIN_MS)
  await consumer.close(ENDS_WITHIN_MS)
  const calls = [
    () => consumer.poll(arena, 10, 10),
    () => consumer.subscribe(["t"]),
    () => consumer.assign([{ ...at, offset: 0 }]),
    () => consumer.unassign([at]),
    () => consumer.pause([at]),
    () => consumer.resume([at]),
    () => consumer.seek([{ ...at, offset: 0 }], 10),
    () => consumer.committed([at], 10),
    () => consumer.commit([{ ...at, offset: 0 }], 10),
    () => consumer.offsetsForTimes([{ ...at, timestampMs: 0 }], 10),
    () => consumer.watermarkOffsets("t", 0, 10),
    () => consumer.position([at]),
    () => consumer.assignment(),
    () => consumer.groupMetadata(),
    () => consumer.epoch(),
    () => consumer.assignmentLost(),
    () => consumer.memberId(),
    () => consumer.fatalError()
  ]
  for (const call of calls) expect(await reasonOf(call)).toBe("Closed")
  consumer.wake()
})

test("a closed producer and admin client refuse everything", async () => {
  const producer = openProducer({ "transactional.id": "misuse" })
  const out = { bytes: new Uint8Array(1), index: new Int32Array(STRIDE), stamps: new Float64Array(1) }
  await Promise.all([producer.close(), producer.close()])
  const calls = [
    () => producer.initTransactions(10),
    () => producer.begin(),
    () => producer.produce(out, 0, 1),
    () => producer.flush(10),
    () => producer.drain(0, 10),
    () => producer.sendOffsets([{ ...at, offset: 1 }], new Uint8Array(3), 10),
    () => producer.commit(10),
    () => producer.abort(10),
    () => producer.purge(),
    () => producer.topicId("t")
  ]
  for (const call of calls) expect(await reasonOf(call)).toBe("Closed")
  expect([producer.pending, producer.poisoned]).toEqual([0, false])
  producer.events()
  const admin = Admin.open(nowhere)
  await admin.close()
  expect(await reasonOf(() => admin.metadata("all", 10))).toBe("Closed")
})

test("a close ends what waits, and every promise is settled", async () => {
  const consumer = openConsumer()
  const arenas = [new Arena(1000, 10), new Arena(1000, 10)]
  const waiting = [consumer.poll(arenas[0]!, 10, 600_000), consumer.poll(arenas[1]!, 10, 600_000)]
  const closing = consumer.close(ENDS_WITHIN_MS)
  const outcomes = await Promise.allSettled([...waiting, closing])
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled"])
  const producer = openProducer()
  const drained = reasonOf(() => producer.drain(-1, 50))
  await producer.close()
  expect(await drained).toBe("TimedOut")
})

test("one arena serves one poll at a time", async () => {
  // Without any broker there are no connection errors either, which would end a poll.
  const consumer = Consumer.open({ "group.id": "misuse" })
  const arena = new Arena(1000, 10)
  await consumer.poll(arena, 10, 100)
  const first = consumer.poll(arena, 10, 600_000)
  expect(await reasonOf(() => consumer.poll(arena, 10, 10))).toBe("InvalidArgument")
  consumer.wake()
  await consumer.subscribe(["t"])
  expect((await first).count).toBe(0)
  expect((await consumer.poll(arena, 10, 1)).count).toBe(0)
  await consumer.close(ENDS_WITHIN_MS)
})

test("what a consumer is asked for it does one after the other: it polls, assigns, pauses, seeks and gives back in that order", async () => {
  const consumer = Consumer.open({ "group.id": "misuse" })
  const [first, second] = [new Arena(1000, 10), new Arena(1000, 10)]
  const done: string[] = []
  const asked: readonly (readonly [string, () => Promise<unknown>])[] = [
    // Waits, where there is nobody to hear from: what could overtake it would.
    ["poll", () => consumer.poll(first, 10, 200)],
    ["assign", () => consumer.assign([{ ...at, offset: 5 }])],
    ["pause", () => consumer.pause([at])],
    ["poll again", () => consumer.poll(second, 10, 50)],
    // There is no broker: it fails in its time, and in its turn.
    ["seek", () => consumer.readFrom([{ ...at, offset: 7 }], 50)],
    ["give back", () => consumer.unassign([at])]
  ]
  await Promise.allSettled(asked.map(([name, call]) => call().finally(() => done.push(name))))
  expect(done).toEqual(asked.map(([name]) => name))
  expect(consumer.assignment()).toEqual([])
  await consumer.close(ENDS_WITHIN_MS)
})

test("arenas of impossible sizes are refused", async () => {
  for (const [bytes, messages] of [
    [0, 1],
    [1, 0],
    [-1, 5],
    [Number.NaN, 5],
    [2 ** 40, 5],
    [5, 2 ** 30],
    [Number.POSITIVE_INFINITY, 1]
  ] as const) {
    expect(await reasonOf(() => new Arena(bytes, messages))).toBe("InvalidArgument")
  }
})

test("an arena's memory may be transferred away while a poll has it", async () => {
  const consumer = openConsumer()
  const arena = new Arena(1 << 20, 1000)
  const polling = consumer.poll(arena, 1000, 100)
  const buffer = arena.bytes.buffer as ArrayBuffer
  try {
    structuredClone(buffer, { transfer: [buffer] })
  } catch (error) {
    // Some runtimes refuse to transfer native memory: just as well.
    expect(error).toBeInstanceOf(Error)
  }
  Bun.gc(true)
  await polling
  await consumer.close(ENDS_WITHIN_MS)
})

test("lists that make no sense are refused", async () => {
  const consumer = openConsumer()
  const refused = [
    () => consumer.assign([{ topic: "t", partition: -1, offset: 0 }]),
    () => consumer.assign([{ topic: "", partition: 0, offset: 0 }]),
    () => consumer.assign([{ topic: "a\0b", partition: 0, offset: 0 }]),
    () => consumer.assign([{ ...at, offset: 0.5 }]),
    () => consumer.assign([{ ...at, offset: Number.NaN }]),
    () => consumer.assign([{ ...at, offset: 2 ** 60 }]),
    () => consumer.assign([null] as unknown as []),
    () => consumer.assign([{ topic: 5, partition: "x", offset: {} }] as unknown as []),
    () => consumer.subscribe([5] as unknown as string[]),
    () => consumer.seek([{ ...at, offset: 0 }], -1),
    () => consumer.seek([{ ...at, offset: 0 }], Number.NaN),
    () => consumer.poll(new Arena(10, 10), 10, Number.POSITIVE_INFINITY),
    () => consumer.poll({ handle: {}, messages: 1 } as unknown as Arena, 10, 10)
  ]
  for (const call of refused) expect(await reasonOf(call)).toBe("InvalidArgument")
  expect(await reasonOf(() => consumer.topic(99))).toBe("InvalidArgument")
  expect([consumer.topicId("b"), consumer.topicId("b"), consumer.topic(0)]).toEqual([0, 0, "b"])
  await consumer.close(ENDS_WITHIN_MS)
})

test("records that point out of their arena are refused", async () => {
  const producer = openProducer()
  const topic = producer.topicId("t")
  const stamps = new Float64Array(1)
  const bytes = new Uint8Array(10)
  const produce = (...index: number[]) =>
    reasonOf(() => producer.produce({ bytes, index: Int32Array.from(index), stamps }, 0, 1))
  const M = 2 ** 31 - 1
  for (const part of [
    [0, 11],
    [11, 0],
    [-1, 1],
    [5, 6],
    [M, M],
    [-M, 1],
    [9, M]
  ] as const) {
    expect(await produce(topic, 0, ...part, 0, -1, 0, 0)).toBe("InvalidArgument")
    expect(await produce(topic, 0, 0, -1, ...part, 0, 0)).toBe("InvalidArgument")
    expect(await produce(topic, 0, 0, -1, 0, -1, ...part)).toBe("InvalidArgument")
  }
  expect(await produce(topic, -2, 0, -1, 0, -1, 0, 0)).toBe("InvalidArgument")
  expect(await produce(topic + 1, 0, 0, -1, 0, -1, 0, 0)).toBe("InvalidArgument")
  expect(await produce(-1, 0, 0, -1, 0, -1, 0, 0)).toBe("InvalidArgument")
  // Headers that are cut off: three of them are announced in ten zero bytes with a length beyond.
  bytes.set([3, 0, 200, 0])
  expect(await produce(topic, 0, 0, -1, 0, -1, 0, 10)).toBe("InvalidArgument")
  expect(await produce(topic, 0, 0, -1, 0, -1, 0, 1)).toBe("InvalidArgument")
  const out = { bytes, index: new Int32Array(STRIDE), stamps }
  for (const [from, count] of [
    [0, 2],
    [1, 1],
    [2 ** 32 - 1, 1],
    [0, 2 ** 32 - 1]
  ] as const) {
    expect(await reasonOf(() => producer.produce(out, from, count))).toBe("InvalidArgument")
  }
  const mixed = { bytes: new Float64Array(8), index: new Uint8Array(64), stamps: [] } as unknown as typeof out
  expect(await reasonOf(() => producer.produce(mixed, 0, 1))).toBe("InvalidArgument")
  expect(await reasonOf(() => producer.flush(ENDS_WITHIN_MS))).toBe("none")
  await producer.close()
})

test("transactional calls out of order are errors, not hangs", async () => {
  const producer = openProducer({ "transactional.id": "misuse" })
  expect(await reasonOf(() => producer.begin())).not.toBe("none")
  expect(await reasonOf(() => producer.commit(100))).not.toBe("none")
  expect(await reasonOf(() => producer.abort(100))).not.toBe("none")
  // Which of the two depends on whether the refused connection is noticed before.
  expect(await reasonOf(() => producer.initTransactions(100))).toMatch(/^(BrokerGone|TimedOut)$/)
  expect(await reasonOf(() => producer.sendOffsets([], new Uint8Array([1, 2, 3]), 100))).not.toBe("none")
  await producer.close()
  const plain = openProducer()
  expect(await reasonOf(() => plain.begin())).not.toBe("none")
  await plain.close()
})

test("no call waits without end", async () => {
  const [consumer, producer, admin] = [
    openConsumer(),
    openProducer({ "transactional.id": "misuse" }),
    Admin.open(nowhere)
  ]
  const arena = new Arena(1000, 10)
  const calls = (ms: number) => [
    () => producer.initTransactions(ms),
    () => producer.flush(ms),
    () => producer.drain(0, ms),
    () => producer.sendOffsets([{ ...at, offset: 1 }], consumer, ms),
    () => producer.commit(ms),
    () => producer.abort(ms),
    () => consumer.poll(arena, 10, ms),
    () => consumer.committed([at], ms),
    () => consumer.commit([{ ...at, offset: 1 }], ms),
    () => consumer.seek([{ ...at, offset: 1 }], ms),
    () => consumer.watermarkOffsets("t", 0, ms),
    () => admin.metadata("all", ms),
    () => admin.deleteRecords([{ ...at, offset: 1 }], ms)
  ]
  // To librdkafka -1 is for ever.
  for (const ms of [-1, Number.POSITIVE_INFINITY, Number.NaN])
    for (const call of calls(ms))
      expect([String(call), ms, await reasonOf(call)]).toEqual([String(call), ms, "InvalidArgument"])
  await Promise.all([consumer.close(ENDS_WITHIN_MS), producer.close(), admin.close()])
})

test("calls on a broker that is away time out and say so", async () => {
  const [consumer, admin, producer] = [openConsumer(), Admin.open(nowhere), openProducer()]
  for (const call of [
    () => consumer.committed([at], 100),
    () => consumer.commit([{ ...at, offset: 1 }], 100),
    () => consumer.watermarkOffsets("t", 0, 100),
    () => admin.metadata(["t"], 100),
    () => admin.createTopics([{ topic: "t", partitions: 1 }], 100)
  ]) {
    expect(["TimedOut", "BrokerGone"]).toContain(await reasonOf(call))
  }
  const topic = producer.topicId("t")
  const out = {
    bytes: new Uint8Array(1),
    index: Int32Array.from([topic, -1, 0, -1, 0, 1, 0, 0]),
    stamps: new Float64Array(1)
  }
  expect(producer.produce(out, 0, 1)).toBe(1)
  const late = await producer.flush(100).catch((error: unknown) => error)
  expect(late).toBeInstanceOf(KafkaError)
  expect(late).toMatchObject({ reason: "TimedOut", message: expect.stringContaining("1 messages") })
  // Events that were not served yet count as well: that no broker is there may be one.
  expect(producer.pending).toBeGreaterThanOrEqual(1)
  producer.purge()
  expect(await reasonOf(() => producer.flush(ENDS_WITHIN_MS))).toBe("Other")
  await Promise.all([admin.close(), producer.close()])
  // The offset commit still waits for a coordinator inside librdkafka; closing does not wait for that.
  expect(await reasonOf(() => consumer.close(500))).toBe("TimedOut")
})

test("handles of another kind, or none, are refused by the add-on itself", () => {
  const junk: readonly unknown[] = [
    undefined,
    null,
    5,
    "x",
    {},
    [],
    () => 1,
    Symbol("s"),
    new Arena(10, 10).handle,
    new Uint8Array(8)
  ]
  const functions = Object.entries(native).filter(([name]) => !name.endsWith("Open") && name !== "arenaCreate")
  expect(functions.length).toBeGreaterThan(40)
  for (const [, call] of functions) {
    for (const handle of junk) {
      const args = [handle, 1, junk[4], 1, 1, 1]
      expect(() => (call as (...args: unknown[]) => unknown)(...args)).toThrow()
      expect(() => (call as (...args: unknown[]) => unknown)(handle)).toThrow()
    }
  }
})

test("clients that are forgotten with calls under way are collected without harm", async () => {
  const forget = () => {
    const consumer = openConsumer()
    const producer = openProducer()
    const polled = consumer.poll(new Arena(1 << 16, 100), 100, 20)
    const drained = producer.drain(-1, 20)
    return Promise.allSettled([polled, drained])
  }
  const rounds = Array.from({ length: 20 }, forget)
  Bun.gc(true)
  const outcomes = (await Promise.all(rounds)).flat()
  expect(outcomes.length).toBe(40)
  Bun.gc(true)
})

test("more calls than a client takes are refused, and the others are done", async () => {
  const consumer = openConsumer()
  const calls = Array.from({ length: 1500 }, () => reasonOf(() => consumer.subscribe(["t"])))
  const reasons = new Set(await Promise.all(calls))
  expect([...reasons].every(reason => reason === "none" || reason === "QueueFull")).toBe(true)
  await consumer.close(ENDS_WITHIN_MS)
})
