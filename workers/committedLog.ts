import type { KafkaConfig, Polled, Position, TopicPartition } from "@headrace/engine"
import { LogError } from "@headrace/engine"
import { Arena, Consumer, type ConsumerEvent, KafkaError, SOURCE_DEFAULTS } from "@headrace/kafka"
import { Effect, Layer, type Scope } from "effect"
// Not named by the faces of their packages yet.
import {
  type CommittedLog,
  type CommittedLogOptions,
  CommittedLogs,
  type Mark
} from "../packages/engine/src/ports/committed-log.ts"
import { attempt, attemptSync, logError } from "../packages/kafka/src/port-error.ts"

type Cluster = typeof KafkaConfig.Type

const ARENA_BYTES = 4 << 20
const ARENA_RECORDS = 16384
const CALL_TIMEOUT_MS = 10_000
const NO_OFFSET = -1001

/** Committed logs on librdkafka, for the threads of sinks. */
export const committedLogs = (cluster: Cluster): Layer.Layer<CommittedLogs> =>
  Layer.succeed(CommittedLogs, CommittedLogs.of({ open: options => open(cluster, options) }))

const open = (cluster: Cluster, options: CommittedLogOptions): Effect.Effect<CommittedLog, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const consumer = yield* opened(memberSettings(cluster, options))
    yield* attempt(`subscribe to ${options.topic}`, () => consumer.subscribe([options.topic]))
    return logOf(cluster, consumer)
  })

const opened = (settings: Readonly<Record<string, string>>): Effect.Effect<Consumer, LogError, Scope.Scope> =>
  Effect.acquireRelease(
    attemptSync("open a consumer", () => Consumer.open(settings)),
    consumer => Effect.ignore(attempt("leave the group", () => consumer.close(CALL_TIMEOUT_MS)))
  )

const common = (cluster: Cluster): Record<string, string> => ({
  ...SOURCE_DEFAULTS,
  ...cluster.settings,
  "bootstrap.servers": cluster.bootstrap,
  "isolation.level": "read_committed",
  "enable.auto.commit": "false",
  "enable.auto.offset.store": "false",
  "auto.offset.reset": "error"
})

const memberSettings = (cluster: Cluster, options: CommittedLogOptions): Record<string, string> => ({
  ...common(cluster),
  "session.timeout.ms": String(options.sessionTimeoutMs),
  "group.id": options.group,
  "group.instance.id": options.member,
  "client.id": options.member
})

const logOf = (cluster: Cluster, consumer: Consumer): CommittedLog => ({
  poll: poller(consumer),
  assign: positions => attempt("assign partitions", () => consumer.assign(positions)),
  unassign: partitions => attempt("give partitions back", () => consumer.unassign(partitions)),
  seek: positions => attempt("seek", () => consumer.seek(positions, CALL_TIMEOUT_MS)),
  pause: partitions => attempt("pause", () => consumer.pause(partitions)),
  resume: partitions => attempt("resume", () => consumer.resume(partitions)),
  committed: partitions => attempt("read committed offsets", () => committed(consumer, partitions)),
  commit: marks => commit(consumer, marks),
  range: ({ topic, partition }) =>
    attempt(`read the range of ${topic}/${partition}`, async () => {
      const { low, high } = await consumer.watermarkOffsets(topic, partition, CALL_TIMEOUT_MS)
      return { start: low, end: high }
    }),
  read: (from, last, visit) => read(cluster, from, last, visit)
})

/** The batch before this one may still be worked on, so two arenas take turns. A record that is too large grows its. */
const poller = (consumer: Consumer): CommittedLog["poll"] => {
  const arenas = [new Arena(ARENA_BYTES, ARENA_RECORDS), new Arena(ARENA_BYTES, ARENA_RECORDS)]
  let turn = 0
  return (maxRecords, timeoutMs) =>
    attempt("poll", async () => {
      turn = 1 - turn
      const polled = await pollInto(consumer, arenas[turn]!, maxRecords, timeoutMs)
      arenas[turn] = polled.arena
      return polled
    })
}

const pollInto = async (
  consumer: Consumer,
  arena: Arena,
  maxRecords: number,
  timeoutMs: number
): Promise<Polled & { readonly arena: Arena; readonly events: readonly ConsumerEvent[] }> => {
  try {
    const { count, events } = await consumer.poll(arena, Math.min(maxRecords, ARENA_RECORDS), timeoutMs)
    events.forEach(raise)
    const { bytes, index, stamps } = arena
    return { arena, events, batch: { bytes, index, stamps, count }, changes: events.flatMap(change) }
  } catch (cause) {
    if (!(cause instanceof KafkaError) || cause.reason !== "ArenaTooSmall") throw cause
    const larger = new Arena(Math.max(cause.needed ?? 0, arena.bytes.length * 2), ARENA_RECORDS)
    return pollInto(consumer, larger, maxRecords, 0)
  }
}

const change = (event: ConsumerEvent): Polled["changes"] =>
  event.type === "assign" || event.type === "revoke" || event.type === "lost"
    ? [{ type: event.type, partitions: event.partitions }]
    : []

/** librdkafka mends most errors by itself; these two it does not. */
const raise = (event: ConsumerEvent): void => {
  if (event.type === "error" && (event.error.fatal || event.error.reason === "OffsetOutOfRange")) throw event.error
}

const committed = async (
  consumer: Consumer,
  partitions: readonly TopicPartition[]
): Promise<readonly (Mark | undefined)[]> => {
  const found = await consumer.committed(partitions, CALL_TIMEOUT_MS)
  const failed = found.find(({ error }) => error !== undefined)
  if (failed?.error !== undefined) throw failed.error
  return found.map(({ topic, partition, offset, metadata }) =>
    offset === NO_OFFSET ? undefined : { topic, partition, offset, metadata: metadata ?? "" }
  )
}

/** A group that moved on refuses the commit: for a sink that is the same as being fenced. */
const commit = (consumer: Consumer, marks: readonly Mark[]): Effect.Effect<void, LogError> =>
  Effect.tryPromise({
    try: () => consumer.commit(marks, CALL_TIMEOUT_MS),
    catch: cause => {
      const error = logError("commit a plan", cause)
      const movedOn = cause instanceof KafkaError && cause.reason === "IllegalGeneration"
      return movedOn ? new LogError("Fenced", error.message, { cause }) : error
    }
  })

const READ_POLL_MS = 1000
/** No record and no end for this long: the broker is away. */
const QUIET_LIMIT_MS = 30_000

/** A consumer of its own, outside of the group, for as long as the range takes. */
const read = <E>(
  cluster: Cluster,
  from: Position,
  last: number,
  visit: (batch: Polled["batch"]) => Effect.Effect<void, E>
): Effect.Effect<void, LogError | E> =>
  Effect.scoped(
    Effect.gen(function* () {
      const settings = { ...common(cluster), "group.id": "headrace-sink-recovery", "enable.partition.eof": "true" }
      const consumer = yield* opened(settings)
      const what = `read ${from.topic}/${from.partition} from ${from.offset} to ${last}`
      yield* attempt(what, () => consumer.assign([from]))
      let arena = new Arena(ARENA_BYTES, ARENA_RECORDS)
      let quietSince = performance.now()
      while (true) {
        const polled = yield* attempt(what, () => pollInto(consumer, arena, ARENA_RECORDS, READ_POLL_MS))
        arena = polled.arena
        const { batch, events } = polled
        if (batch.count > 0) yield* visit(batch)
        if (isThrough(polled, last) || events.some(event => event.type === "end" && event.offset > last)) return
        if (batch.count > 0) quietSince = performance.now()
        else if (performance.now() - quietSince > QUIET_LIMIT_MS) {
          return yield* Effect.fail(new LogError("Retry", `Cannot ${what}: nothing came for ${QUIET_LIMIT_MS} ms`))
        }
      }
    })
  )

/** Offsets grow: the batch's last record says how far it goes. */
const isThrough = ({ batch }: Polled, last: number): boolean =>
  batch.count > 0 && batch.stamps[(batch.count - 1) * 2]! >= last
