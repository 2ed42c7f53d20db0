import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { startKafka } from "@headrace/dev"
import { type Membership, Outputs, type Producer as ProducerPort } from "@headrace/engine"
import { Effect } from "effect"
import { Producer } from "../src/index.ts"
import { openMembership } from "../src/membership.ts"
import { openProducer } from "../src/transactional.ts"
import { createTopic, fresh, fromBeginning, openConsumer, pack, partitionsOf, readUntil } from "./support.ts"

const STATE_PARTITIONS = 4
const MINUTE_MS = 60_000
/** Of an id that nobody uses: longer than a busy machine takes from one call of a test to the next. */
const FORGOTTEN_AFTER_MS = 6_000

let kafka: Awaited<ReturnType<typeof startKafka>>
beforeAll(async () => {
  kafka = await startKafka({
    settings: {
      "transactional.id.expiration.ms": String(FORGOTTEN_AFTER_MS),
      "transaction.remove.expired.transaction.cleanup.interval.ms": "100"
    }
  })
})
afterAll(() => kafka?.stop())

const config = () => ({ bootstrap: kafka.bootstrap, settings: {} })

/** One transaction with one record. */
const commitOne = (producer: ProducerPort, value: string) => {
  const outputs = new Outputs()
  outputs.data.bytes.set(new TextEncoder().encode(value))
  outputs.data.length = value.length
  outputs.add(0, 0, -1, 0, 0)
  return producer
    .begin()
    .pipe(
      Effect.andThen(producer.produce(outputs)),
      Effect.andThen(producer.flush()),
      Effect.andThen(producer.commit())
    )
}

/** Until the coordinator has written down that it knows nothing of the id any more. */
const forgotten = async (id: string): Promise<void> => {
  const consumer = openConsumer(kafka.bootstrap, { "isolation.level": "read_uncommitted" })
  await consumer.assign(fromBeginning("__transaction_state", STATE_PARTITIONS))
  await readUntil(consumer, all => all.some(({ key, value }) => key?.includes(id) && value === null))
  await consumer.close()
}

test("a transactional id that the broker has forgotten is initialised again", async () => {
  const topic = await createTopic(kafka.bootstrap)
  const id = fresh("idle")
  const used = Effect.gen(function* () {
    const producer = yield* openProducer(config(), id, [topic])
    yield* producer.initialise()
    yield* commitOne(producer, "before")
    yield* Effect.promise(() => forgotten(id))
    const { failure, message } = yield* Effect.flip(commitOne(producer, "refused"))
    yield* producer.initialise()
    yield* commitOne(producer, "after")
    return { failure, message }
  })
  const { failure, message } = await Effect.runPromise(Effect.scoped(used))
  // None of those that end the lane: Stop, and Fenced three times.
  expect(["Retry", "Abort", "Unknown", "Gone"]).toContain(failure)
  expect(message).toContain(id)
  const consumer = openConsumer(kafka.bootstrap)
  await consumer.assign(fromBeginning(topic))
  const { received } = await readUntil(consumer, all => all.length >= 2)
  expect(received.map(({ value }) => value)).toEqual(["before", "after"])
  await consumer.close()
})

/** It is asked for as often as this says "fire immediately"; by librdkafka's own clock otherwise. */
const ASKED = /fire immediately.*Starting idempotent producer/

test("while a predecessor's transaction is aborted a session is asked for again, before librdkafka would", async () => {
  const topic = await createTopic(kafka.bootstrap)
  const settings = { "bootstrap.servers": kafka.bootstrap, "transactional.id": fresh("id") }
  const [before, after] = [Producer.open(settings), Producer.open({ ...settings, debug: "eos" })]
  await before.initTransactions(MINUTE_MS)
  before.begin()
  before.produce(pack([{ topic: before.topicId(topic), value: "open" }]), 0, 1)
  await before.flush(MINUTE_MS)
  await after.initTransactions(MINUTE_MS)
  // A flush serves what librdkafka has to say.
  await after.flush(MINUTE_MS)
  const said = after.events().flatMap(event => (event.type === "log" ? event.message : []))
  expect(said.filter(message => ASKED.test(message)).length).toBeGreaterThan(1)
  await Promise.all([before.close(1000), after.close(1000)])
})

/** Polls until the group has given something, and takes it. */
const given = (member: Membership) =>
  Effect.gen(function* () {
    for (;;) {
      const { changes } = yield* member.poll(10, 100)
      const assigned = changes.flatMap(({ type, partitions }) => (type === "assign" ? partitions : []))
      yield* member.take(assigned)
      if (assigned.length > 0) return assigned.map(({ partition }) => partition).toSorted()
    }
  })

test("a lane that was killed is replaced at once by one of its name, not after its session", async () => {
  const topic = await createTopic(kafka.bootstrap, 3)
  // Longer than this test may take; a heartbeat goes out in a hundredth of it.
  const options = { topics: [topic], group: fresh("group"), member: "lane", sessionTimeoutMs: 10 * MINUTE_MS }
  const all = partitionsOf(topic, 3).map(({ partition }) => partition)
  const both = Effect.gen(function* () {
    // It goes without a word: no more polls, and nothing is given back.
    const before = yield* openMembership(config(), options)
    expect(yield* given(before)).toEqual(all)
    expect(yield* given(yield* openMembership(config(), options))).toEqual(all)
    // It lives after all, and hears that somebody else has its name.
    return yield* Effect.flip(Effect.forever(before.poll(10, 100)))
  })
  const { failure, message } = await Effect.runPromise(Effect.scoped(both))
  expect(failure).toBe("Gone")
  expect(message).toContain("fenced by other consumer")
})

test("a member of KIP-848 that was killed holds its name until its session ends; then one of its name is let in", async () => {
  const [topic, group] = [await createTopic(kafka.bootstrap, 3), fresh("group")]
  const fixture = join(import.meta.dir, "fixtures/member.ts")
  const child = Bun.spawn([process.execPath, fixture, kafka.bootstrap, topic, group, "lane"], { stdout: "pipe" })
  const told = await child.stdout.getReader().read()
  expect(new TextDecoder().decode(told.value)).toStartWith("given")
  const options = { topics: [topic], group, member: "lane", sessionTimeoutMs: 10_000 }
  const settings = { "group.protocol": "consumer" }
  const next = Effect.scoped(Effect.flatMap(openMembership({ bootstrap: kafka.bootstrap, settings }, options), given))
  const { failure, message } = await Effect.runPromise(Effect.flip(next))
  expect(failure).toBe("Gone")
  expect(message).toContain("until the session")
  child.kill("SIGKILL")
  // What refuses it also makes its client useless: each try is another one.
  const letIn = Effect.retry(next, { while: error => error.failure === "Gone" })
  expect(await Effect.runPromise(letIn)).toEqual(partitionsOf(topic, 3).map(({ partition }) => partition))
})
