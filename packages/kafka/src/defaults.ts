import { TRANSACTION_TIMEOUT_MS } from "@headrace/engine"

/** Settings of librdkafka by name; see its CONFIGURATION.md. */
export type KafkaSettings = Readonly<Record<string, string>>

/**
 * Of every client: when a leader dies, librdkafka can be left without the topic's other partitions, or without the new leader,
 * until it next refreshes what it knows: by default after 5 minutes, in which a restore asks in vain (`_UNKNOWN_PARTITION`),
 * and what is sent waits.
 */
export const CLIENT_DEFAULTS: KafkaSettings = { "topic.metadata.refresh.interval.ms": "5000" }

/** For reading fast with small latency. Group, isolation and offsets are the caller's business. */
export const SOURCE_DEFAULTS: KafkaSettings = {
  // The default of 1 s lets a fast reader starve after each full queue: half of its throughput.
  "fetch.queue.backoff.ms": "5",
  // How long the broker holds back an answer that would be small: latency against requests. Without the least size a
  // busy topic is asked for hundreds of times a second, each time for a few records.
  "fetch.wait.max.ms": "10",
  "fetch.min.bytes": "65536",
  // Enough for a lane's next few batches; memory is bounded by the size below.
  "queued.min.messages": "100000",
  "queued.max.messages.kbytes": "65536",
  // A member takes no records while its transaction cannot close (asynchronous steps, a broker that is away). Past this
  // time it is thrown out, and would start over, to be thrown out again: so it is long. A process that died or stands still is noticed by its session's time-out; this one is for a thread that hangs, whose
  // records would hang the next owner's as well.
  "max.poll.interval.ms": "3600000",
  // A lost connection is tried again soon: the defaults (100 ms, 10 s) make a short outage long.
  "reconnect.backoff.ms": "50",
  "reconnect.backoff.max.ms": "1000",
  "socket.nagle.disable": "true"
}

/**
 * The settings of a group's member, whose rebalances are incremental by either protocol: a member keeps what it does not
 * have to give back. Classic by default: a static member that was killed and comes back takes over at once. Its sticky
 * assignor does not put partitions of one number together, which range does (docs/decisions/0013). With KIP-848
 * (`group.protocol=consumer` among the cluster's settings) it is refused until the broker's session time-out; that, the
 * heartbeat and the assignor are then the broker's affair, and the client refuses them.
 */
export const groupSettings = (
  cluster: KafkaSettings,
  group: { readonly group: string; readonly member: string; readonly sessionTimeoutMs: number }
): Record<string, string> => ({
  "group.id": group.group,
  "group.instance.id": group.member,
  "client.id": group.member,
  ...(cluster["group.protocol"] === "consumer" ? KIP_848 : classic(group.sessionTimeoutMs))
})

const KIP_848 = { "group.protocol": "consumer", "group.remote.assignor": "range" }

const classic = (sessionTimeoutMs: number): Record<string, string> => ({
  "group.protocol": "classic",
  "partition.assignment.strategy": "cooperative-sticky",
  "session.timeout.ms": String(sessionTimeoutMs),
  // Also how soon a member hears that the group is moving: the others wait for it, though they go on with what they have.
  "heartbeat.interval.ms": String(Math.max(100, Math.round(sessionTimeoutMs / 100)))
})

/** For a transactional or idempotent producer: order and no duplicates, batched for a few milliseconds. */
export const PRODUCER_DEFAULTS: KafkaSettings = {
  "enable.idempotence": "true",
  acks: "all",
  // A topic that is missing is an error, not a topic with the broker's default settings.
  "allow.auto.create.topics": "false",
  // How long a topic may be missing (it was made just now) before records for it fail; below message.timeout.ms.
  "topic.metadata.propagation.max.ms": "4000",
  // Java's partitioner, so that keys land where other clients look for them; without a key: any partition.
  partitioner: "murmur2_random",
  // A commit's flush sends whatever waits, every few tens of milliseconds. What is sent before it is for lanes that are
  // behind and commit less often: full batches, since the broker's cost goes by them (docs/decisions/0031).
  "linger.ms": "100",
  "batch.size": "1000000",
  "batch.num.messages": "100000",
  "compression.type": "lz4",
  // Bounds memory; produce() then takes fewer records than it was given.
  "queue.buffering.max.messages": "500000",
  "queue.buffering.max.kbytes": "131072",
  "delivery.report.only.error": "true",
  // Below the transaction's own limit, so that a failed delivery is known before the coordinator aborts.
  "message.timeout.ms": "8000",
  "transaction.timeout.ms": String(TRANSACTION_TIMEOUT_MS),
  "reconnect.backoff.ms": "50",
  "reconnect.backoff.max.ms": "1000",
  "socket.nagle.disable": "true"
}
