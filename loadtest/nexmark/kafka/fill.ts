import { avroCodecs } from "@headrace/avro"
import { Admin, Producer } from "@headrace/kafka"
import { Effect, Redacted } from "effect"
import { type Feed, feedOf } from "../feed.ts"
import type { NexmarkOptions } from "../generator/options.ts"
import { type Cluster, settingsOf } from "./run.ts"

const STREAM_TOPICS = ["nexmark.persons", "nexmark.auctions", "nexmark.bids"]
const SIDE = "nexmark.side"
/** All that `fill` makes. */
export const NEXMARK_TOPICS: readonly string[] = [...STREAM_TOPICS, SIDE]
const STRIDE = 8
const BY_KEY = -1
const QUEUED = 100_000
const WAIT_MS = 60_000

/** Makes Nexmark's topics and fills them: so many events of the whole stream, and the small table of q13. */
export const fill = async (cluster: Cluster, options: NexmarkOptions, events: number): Promise<void> => {
  const admin = Admin.open(settingsOf(cluster))
  const { partitions, replication } = cluster
  await admin.createTopics(NEXMARK_TOPICS.map(topic => ({ topic, partitions, replication, config: {} })))
  await admin.close()
  const feed = (topics: readonly string[], count: number): Promise<Feed> =>
    Effect.runPromise(feedOf(topics, options, count).pipe(Effect.provide(avroCodecs(registryOf(cluster)))))
  const producer = Producer.open({
    ...settingsOf(cluster),
    "enable.idempotence": "true",
    "compression.type": "lz4",
    "linger.ms": "20",
    "queue.buffering.max.messages": String(2 * QUEUED)
  })
  await send(producer, await feed([SIDE], 0))
  await send(producer, await feed(STREAM_TOPICS, events))
  await producer.flush(WAIT_MS)
  await producer.close()
}

const registryOf = ({ registry: { url, auth } }: Cluster) =>
  auth === undefined ? { url } : { url, auth: Redacted.make(auth) }

const send = async (producer: Producer, { topics, batches }: Feed): Promise<void> => {
  const ids = topics.map(topic => producer.topicId(topic))
  for (const { bytes, index, count } of batches) {
    const out = index.slice()
    for (let at = 0; at < out.length; at += STRIDE) {
      out[at] = ids[out[at]!]!
      out[at + 1] = BY_KEY
    }
    // Now, not the event's time: that is long ago, and retention would take the records in mid-run.
    const stamps = new Float64Array(count).fill(Date.now())
    for (let taken = 0; taken < count; ) {
      taken += producer.produce({ bytes, index: out, stamps }, taken, count - taken)
      if (taken < count) await producer.drain(QUEUED, WAIT_MS)
    }
  }
}
