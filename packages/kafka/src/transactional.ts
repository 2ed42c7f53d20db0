import {
  type KafkaConfig,
  LogError,
  type Outputs,
  type Producer as ProducerPort,
  TRANSACTION_TIMEOUT_MS
} from "@headrace/engine"
import { Effect, type Scope } from "effect"
import { Consumer } from "./consumer.ts"
import { PRODUCER_DEFAULTS } from "./defaults.ts"
import { attemptSync, overdue } from "./port-error.ts"
import { Producer } from "./producer.ts"
import { attemptWith } from "./reports.ts"
import { clusterSettings, signIn } from "./sign-in.ts"
import { Successive } from "./successive.ts"

/** Below the transaction time-out, so that a call which hangs is noticed before the coordinator aborts. */
const FLUSH_TIMEOUT_MS = 8_000
const CALL_TIMEOUT_MS = 8_000
const INIT_TIMEOUT_MS = 10_000
/** A call that is given a time-out, and does not keep to it. */
const OVERDUE_MS = CALL_TIMEOUT_MS + 1_000
/** librdkafka's queue is full: how long to wait for its threads to send some of it. */
const QUEUE_FULL_PAUSE = "2 millis"

/**
 * A lane's transactional producer. `initialise` opens a new native producer under the same id, whatever became of the
 * one before: that fences it, aborts what it left open, and mends every state that librdkafka may be in.
 */
export const openProducer = (
  config: typeof KafkaConfig.Type,
  id: string,
  topics: readonly string[]
): Effect.Effect<ProducerPort, LogError, Scope.Scope> =>
  Effect.gen(function* () {
    const producers = new Successive<Producer>(`the producer ${id}`)
    yield* Effect.addFinalizer(() => producers.close)

    const open = Effect.gen(function* () {
      yield* producers.close
      const producer = yield* attemptSync(`open the producer ${id}`, () =>
        Producer.open(producerSettings(config, id), signIn(config))
      )
      producers.current = producer
      for (const topic of topics) producer.topicId(topic)
      yield* attemptWith(producer, `initialise the transactions of ${id}`, () =>
        producer.initTransactions(INIT_TIMEOUT_MS)
      )
    })

    const use = <A>(what: string, call: (producer: Producer) => Promise<A>): Effect.Effect<A, LogError> =>
      Effect.suspend(() => {
        const producer = producers.current
        if (producer === undefined) return Effect.fail(new LogError("Abort", `Producer ${id} is not initialised`))
        return attemptWith(producer, `${what} (${id})`, () => call(producer))
      })

    return {
      id,
      initialise: () => open,
      begin: () => use("begin a transaction", async producer => producer.begin()),
      produce: outputs =>
        use("produce", async producer => producer).pipe(Effect.flatMap(producer => produceAll(producer, outputs, id))),
      flush: () => use("flush", producer => producer.flush(FLUSH_TIMEOUT_MS)),
      sendOffsets: (offsets, member) =>
        use("send offsets to the transaction", async producer => {
          if (!(member instanceof Consumer)) throw new TypeError("The member is not one of this client's consumers")
          await producer.sendOffsets(offsets, member, CALL_TIMEOUT_MS)
        }).pipe(
          Effect.timeoutOrElse({ duration: OVERDUE_MS, orElse: () => Effect.andThen(producers.leaveBehind, hangs(id)) })
        ),
      commit: () => use("commit the transaction", producer => producer.commit(CALL_TIMEOUT_MS)),
      poisoned: () => producers.current?.poisoned ?? false
    } satisfies ProducerPort
  })

const hangs = (id: string): Effect.Effect<never, LogError> =>
  Effect.fail(
    overdue(
      `send offsets to the transaction (${id})`,
      `librdkafka has waited for the group's coordinator for more than ${OVERDUE_MS} ms`
    )
  )

export const producerSettings = (config: typeof KafkaConfig.Type, id: string): Record<string, string> => ({
  ...PRODUCER_DEFAULTS,
  ...clusterSettings(config),
  "transactional.id": id,
  "client.id": id,
  "enable.idempotence": "true",
  // Restores reckon with it, and so does who finds himself fenced.
  "transaction.timeout.ms": String(TRANSACTION_TIMEOUT_MS)
})

/** librdkafka copies as much as its queue takes; the rest waits until its threads have sent some. */
const produceAll = (producer: Producer, outputs: Outputs, id: string): Effect.Effect<void, LogError> =>
  Effect.gen(function* () {
    const arena = { bytes: outputs.data.bytes, index: outputs.index, stamps: outputs.stamps }
    let from = 0
    while (from < outputs.count) {
      from += yield* attemptSync(`produce (${id})`, () => producer.produce(arena, from, outputs.count - from))
      if (from < outputs.count) yield* Effect.sleep(QUEUE_FULL_PAUSE)
    }
  })
