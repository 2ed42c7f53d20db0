import { parentPort, workerData } from "node:worker_threads"
import { type Consumer, Producer } from "@headrace/kafka"
import { openEncoder } from "../src/codecs.ts"
import { Accounts } from "../src/generator/accounts.ts"
import { EventMaker } from "../src/generator/events.ts"
import { ArenaOutbox } from "../src/generator/outbox.ts"
import { Tally } from "../src/generator/tally.ts"
import { Zipf } from "../src/generator/zipf.ts"
import { endsOf, openReader, Reading } from "../src/measure/reading.ts"
import type { KafkaAccess, RegistryAccess } from "../src/options.ts"
import { AccountEvent } from "../src/scenarios/payments/schemas.ts"
import { TOPICS } from "../src/scenarios/payments/topics.ts"

/** What a thread of the bench does. */
export type BenchTask =
  | {
      readonly role: "fill"
      readonly kafka: KafkaAccess
      readonly registry: RegistryAccess
      readonly partitions: number
      readonly events: number
    }
  | {
      readonly role: "consume"
      readonly kafka: KafkaAccess
      readonly partitions: number
      readonly lane: number
      readonly lanes: number
    }
/** What it answers at its end: events, and the time that they took (of those read: from the first poll that had some). */
export interface BenchAnswer {
  readonly events: number
  readonly beginAt: number
  readonly endAt: number
}

const ACCOUNTS = 100_000
const EVENTS_PER_MS = 100
const FLUSH_MS = 60_000
const POLL_MS = 100

/** Fills the source topic as fast as it goes: 100,000 events a second of event time. */
const fill = async (task: Extract<BenchTask, { role: "fill" }>): Promise<BenchAnswer> => {
  const encoder = await openEncoder(task.registry, AccountEvent, TOPICS.events)
  const producer = Producer.open({
    "bootstrap.servers": task.kafka.bootstrap,
    "enable.idempotence": "true",
    "compression.type": "lz4",
    "linger.ms": "20",
    "queue.buffering.max.messages": "200000"
  })
  const accounts = new Accounts(ACCOUNTS, task.partitions)
  const outbox = new ArenaOutbox(producer, producer.topicId(TOPICS.events), encoder)
  const options = { seed: 1, disorderMs: 2_000, lateFraction: 0, eventTimeShiftMs: 0 }
  const maker = new EventMaker(0, 0, options, accounts, new Zipf(ACCOUNTS, 0), new Tally(task.partitions))
  // From now on: records of long ago would be removed by the topic's retention in mid-run.
  const start = Date.now()
  const beginAt = performance.now()
  for (let n = 0; n < task.events; n++) {
    if (!outbox.hasRoom()) await sendAll(producer, outbox)
    outbox.add(maker, maker.next(start + n / EVENTS_PER_MS))
  }
  await sendAll(producer, outbox)
  await producer.flush(FLUSH_MS)
  await producer.close()
  return { events: task.events, beginAt, endAt: performance.now() }
}

const sendAll = async (producer: Producer, outbox: ArenaOutbox): Promise<void> => {
  while (!outbox.send()) await producer.drain(100_000, FLUSH_MS)
}

/** Reads one lane's share of the partitions from beginning to end, and does nothing with it. */
const consume = async (task: Extract<BenchTask, { role: "consume" }>): Promise<BenchAnswer> => {
  const consumer = openReader(task.kafka)
  const ends = (await endsOf(consumer, [TOPICS.events], task.partitions)).filter(
    ({ partition }) => partition % task.lanes === task.lane
  )
  await consumer.assign(ends.map(place => ({ ...place, offset: 0 })))
  const answer = await readAll(
    consumer,
    ends.reduce((sum, { offset }) => sum + offset, 0)
  )
  await consumer.close()
  return answer
}

const readAll = async (consumer: Consumer, total: number): Promise<BenchAnswer> => {
  const reading = new Reading(consumer)
  let first = 0
  while (first === 0) first = (await reading.poll(POLL_MS)).count
  const beginAt = performance.now()
  let events = first
  while (events < total) events += (await reading.poll(POLL_MS)).count
  return { events: events - first, beginAt, endAt: performance.now() }
}

const task = workerData as BenchTask
parentPort!.postMessage(await (task.role === "fill" ? fill(task) : consume(task)))
