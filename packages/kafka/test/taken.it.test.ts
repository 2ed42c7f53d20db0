import { afterAll, beforeAll, expect, test } from "bun:test"
import type { Membership } from "@headrace/engine"
import { Effect } from "effect"
import { Arena, Consumer } from "../src/index.ts"
import { openMembership } from "../src/membership.ts"
import { apiOf, clientOf, HoldingProxy, startBehind } from "./proxy.ts"
import { createTopic, fresh, openProducer, pack } from "./support.ts"

const LIST_OFFSETS = 2
const MEMBER = "lane"
const T = 30_000
/** Far longer than librdkafka waits before it asks again. */
const MEANWHILE_MS = 3000

const proxy = new HoldingProxy(frame => apiOf(frame) === LIST_OFFSETS && clientOf(frame) === MEMBER)
let behind: Awaited<ReturnType<typeof startBehind>>
let direct = ""
let proxied = ""
beforeAll(async () => {
  behind = await startBehind(proxy)
  direct = behind.kafka.bootstrap
  proxied = behind.bootstrap
})
afterAll(() => behind?.stop())

/** Takes what the group gives, as soon as it does. */
const taken = (member: Membership) =>
  Effect.gen(function* () {
    for (;;) {
      const { changes } = yield* member.poll(10, 100)
      const given = changes.flatMap(({ partitions }) => partitions)
      yield* member.take(given)
      if (given.length > 0) return given
    }
  })

/** What the member is told about where partitions end may come late: nothing is skipped for it. */
test("a partition that is sought in before anything is known of it is read from there, without a gap", async () => {
  const topic = await createTopic(direct)
  const producer = openProducer(direct)
  let sent = 0
  const send = async () => {
    producer.produce(pack([{ topic: producer.topicId(topic), value: String(sent++) }]), 0, 1)
    await producer.flush(T)
  }
  const options = { topics: [topic], group: fresh("group"), member: MEMBER, sessionTimeoutMs: 10_000 }
  const offsets: number[] = []
  const read = (member: Membership) =>
    Effect.map(member.poll(100, 20), ({ batch }) => {
      for (let i = 0; i < batch.count; i++) offsets.push(batch.stamps[i * 2]!)
    })
  const all = Effect.gen(function* () {
    yield* Effect.promise(send)
    proxy.hold()
    const member = yield* openMembership({ bootstrap: proxied, settings: {} }, options)
    const given = yield* taken(member)
    yield* member.seek(given.map(one => ({ ...one, offset: 0 })))
    proxy.release()
    for (const until = performance.now() + MEANWHILE_MS; performance.now() < until; ) {
      yield* Effect.promise(send)
      yield* read(member)
    }
    while (offsets.at(-1) !== sent - 1) yield* read(member)
  })
  await Effect.runPromise(Effect.scoped(all))
  expect(offsets).toEqual(Array.from({ length: sent }, (_, offset) => offset))
  await producer.close()
})

/** By default its thread in librdkafka sleeps for up to a second where nothing was read from that broker before. */
test("who begins to read a partition asks its leader for something", async () => {
  const topic = await createTopic(direct)
  const options = { topics: [topic], group: fresh("group"), member: MEMBER, sessionTimeoutMs: 10_000 }
  const asked = Effect.gen(function* () {
    const member = yield* openMembership({ bootstrap: proxied, settings: {} }, options)
    const given = yield* taken(member)
    yield* member.poll(10, 100)
    proxy.hold()
    yield* member.seek(given.map(one => ({ ...one, offset: 0 })))
    while (!proxy.held) yield* member.poll(10, 20)
    proxy.release()
  })
  await Effect.runPromise(Effect.scoped(asked))
})

for (const [kind, settings] of [
  ["static", { "group.instance.id": "a" }],
  ["dynamic", {}],
  ["static and eager", { "group.instance.id": "a", "partition.assignment.strategy": "range" }]
] as const)
  test(`a ${kind} member that is closed before it took up what it was given ends at once`, async () => {
    const topic = await createTopic(direct)
    const group = { "group.id": fresh("group"), "partition.assignment.strategy": "cooperative-sticky", ...settings }
    const consumer = Consumer.open({ "bootstrap.servers": direct, ...group })
    await consumer.subscribe([topic])
    const arena = new Arena(1000, 10)
    while (!(await consumer.poll(arena, 10, 100)).events.some(({ type }) => type === "assign"));
    // Waited for: it rejects where leaving takes longer, and does not end where librdkafka does not.
    await consumer.close(30_000)
  })
