import { afterAll, beforeAll, expect, test } from "bun:test"
import { type KafkaCluster, startKafkaCluster } from "@headrace/dev"
import { Outputs } from "@headrace/engine"
import { Effect, Fiber, Schedule } from "effect"
import { Admin } from "../src/index.ts"
import { openProducer } from "../src/transactional.ts"
import { fresh, openConsumer } from "./support.ts"

const T = 30_000

let cluster: KafkaCluster
beforeAll(async () => {
  cluster = await startKafkaCluster(3)
})
afterAll(() => cluster.stop())

/** Kafka's own: the partition that a group's offsets are in, whose leader is the group's coordinator. */
const partitionOf = (group: string, partitions: number): number => {
  let hash = 0
  for (const char of group) hash = (Math.imul(31, hash) + char.charCodeAt(0)) | 0
  return (hash & 0x7fff_ffff) % partitions
}

const placesOf = async (admin: Admin, topic: string) => (await admin.metadata([topic], T)).topics[0]!.partitions

/** Without being made to look again librdkafka waits for the dead coordinator, whatever time the call was given. */
test("offsets are sent within the call's time when the group's coordinator is dead and stays away", async () => {
  const { bootstrap } = cluster
  const [topic, group] = [fresh("topic"), fresh("group")]
  const admin = Admin.open({ "bootstrap.servers": bootstrap })
  await admin.createTopics([{ topic, partitions: 3, replication: 3 }])
  const consumer = openConsumer(bootstrap, { "group.id": group })
  const failures: string[] = []

  const scenario = Effect.gen(function* () {
    const producer = yield* openProducer({ bootstrap, settings: {} }, fresh("tx"), [topic])
    const transaction = (partition: number, offset: number) =>
      Effect.gen(function* () {
        yield* producer.begin()
        yield* producer.produce(oneRecord(partition))
        yield* producer.flush()
        yield* producer.sendOffsets([{ topic, partition: 0, offset }], consumer)
        yield* producer.commit()
      }).pipe(
        // As a lane does: what failed is sent once more in a new session.
        Effect.tapError(error => {
          failures.push(error.message)
          return Effect.retry(producer.initialise(), Schedule.spaced("100 millis"))
        }),
        Effect.retry(Schedule.recurs(20))
      )
    yield* producer.initialise()
    yield* transaction(0, 1)
    const offsets = yield* Effect.promise(() => placesOf(admin, "__consumer_offsets"))
    const node = offsets.find(one => one.partition === partitionOf(group, offsets.length))!.leader
    const led = (yield* Effect.promise(() => placesOf(admin, topic))).find(one => one.leader === node)!.partition
    yield* Effect.promise(() => cluster.brokers[node - 1]!.kill())
    // Asked on the side: the other two answer, and say nothing of what the dead one has.
    const open = yield* Effect.forkChild(Effect.promise(() => admin.transactions("")))
    // What is flushed has found the partition's new leader: the producer knows that the broker is not there any more.
    yield* transaction(led, 2)
    yield* transaction(led, 3)
    return yield* Fiber.join(open)
  })
  expect((await Effect.runPromise(Effect.scoped(scenario)))?.silent).toBeString()
  expect(failures.filter(message => message.includes("has waited for the group's coordinator"))).toEqual([])
  const [found] = await consumer.committed([{ topic, partition: 0 }], T)
  expect(found!.offset).toBe(3)
  await consumer.close()
  await admin.close()
})

const oneRecord = (partition: number): Outputs => {
  const outputs = new Outputs()
  outputs.add(0, partition, -1, outputs.data.length, Date.now())
  return outputs
}
