import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { type KafkaCluster, startKafkaCluster } from "@headrace/dev"
import { Effect, Schedule } from "effect"
import { Admin } from "../src/index.ts"
import { openProducer } from "../src/transactional.ts"
import { createTopic, fresh, openConsumer } from "./support.ts"

setDefaultTimeout(60_000)

const T = 10_000

let cluster: KafkaCluster
beforeAll(async () => {
  cluster = await startKafkaCluster(3)
}, 180_000)
afterAll(() => cluster.stop())

/** Kafka's own: the partition that a group's offsets are in, whose leader is the group's coordinator. */
const partitionOf = (group: string, partitions: number): number => {
  let hash = 0
  for (const char of group) hash = (Math.imul(31, hash) + char.charCodeAt(0)) | 0
  return (hash & 0x7fff_ffff) % partitions
}

const leaderOf = async (admin: Admin, topic: string, partition: (partitions: number) => number) => {
  const [found] = (await admin.metadata([topic], T)).topics
  const wanted = partition(found!.partitions.length)
  return found!.partitions.find(one => one.partition === wanted)!.leader
}

/** Without being made to look again librdkafka waits for the dead coordinator, whatever time the call was given. */
test("offsets are sent within the call's time when the group's coordinator is dead and stays away", async () => {
  const topic = await createTopic(cluster.bootstrap)
  const group = fresh("group")
  const consumer = openConsumer(cluster.bootstrap, { "group.id": group })
  const admin = Admin.open({ "bootstrap.servers": cluster.bootstrap })
  const config = { bootstrap: cluster.bootstrap, settings: {} }
  const failures: string[] = []

  const scenario = Effect.gen(function* () {
    const producer = yield* openProducer(config as Parameters<typeof openProducer>[0], fresh("tx"), [topic])
    let offset = 0
    const transaction = Effect.gen(function* () {
      yield* producer.begin()
      yield* producer.sendOffsets([{ topic, partition: 0, offset: offset + 1 }], consumer)
      yield* producer.commit()
      offset++
    })
    // As a lane does: what failed is sent once more in a new session.
    const again = transaction.pipe(
      Effect.tapError(error => {
        failures.push(error.message)
        return Effect.retry(producer.initialise(), Schedule.spaced("100 millis"))
      }),
      Effect.retry(Schedule.recurs(20))
    )
    yield* producer.initialise()
    yield* again
    const node = yield* Effect.promise(() => leaderOf(admin, "__consumer_offsets", count => partitionOf(group, count)))
    yield* Effect.promise(() => cluster.brokers[node - 1]!.kill())
    // The calls go on while the cluster finds out, and until it has forgotten the broker for a while.
    let forgotten = 0
    while (forgotten < 200) {
      yield* again
      const { brokers } = yield* Effect.promise(() => admin.metadata([topic], T))
      forgotten = brokers.some(one => one.id === node) ? 0 : forgotten + 1
    }
    return offset
  })
  const committed = await Effect.runPromise(Effect.scoped(scenario))
  expect(failures.filter(message => /has waited for the group's coordinator/.test(message))).toEqual([])
  const [found] = await consumer.committed([{ topic, partition: 0 }], T)
  expect(found!.offset).toBe(committed)
  await consumer.close()
  await admin.close()
})
