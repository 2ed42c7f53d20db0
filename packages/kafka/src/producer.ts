import type { OutArena } from "./arena.ts"
import type { Consumer } from "./consumer.ts"
import { attemptNow, type KafkaError, kafkaError } from "./error.ts"
import { type NativeHandle, native } from "./native.ts"
import {
  type Answer,
  type ClientOptions,
  type CommitOffset,
  millis,
  open,
  type Requests,
  toOffsetPlace
} from "./request.ts"

/** What a producer or admin client had to say; see `ConsumerEvent`. */
export type ClientEvent =
  | { readonly type: "error"; readonly error: KafkaError }
  | { readonly type: "stats"; readonly json: string }
  | { readonly type: "log"; readonly level: number; readonly facility: string; readonly message: string }

const kind = {
  open: native.producerOpen,
  hold: native.producerHold,
  setToken: native.producerSetToken,
  refuseToken: native.producerRefuseToken
}

/**
 * A Kafka producer with a thread of its own, on which all calls that wait run one after the other; `produce` only
 * copies into librdkafka's queue. Calls reject (or throw) with `KafkaError`, whose flags say what to do.
 */
export class Producer {
  readonly #handle: NativeHandle
  readonly #requests: Requests

  private constructor(handle: NativeHandle, requests: Requests) {
    this.#handle = handle
    this.#requests = requests
  }

  /** Settings are librdkafka's, over `CLIENT_DEFAULTS`; with a `transactional.id`, `initTransactions` comes next. */
  static open(config: Readonly<Record<string, string>>, options: ClientOptions = {}): Producer {
    const { handle, requests } = open("producer", kind, config, options)
    return new Producer(handle, requests)
  }

  #ask(operation: string, timeoutMs: number, call: (id: number, timeoutMs: number) => void): Promise<Answer> {
    return this.#requests.send(operation, id => call(id, millis(operation, timeoutMs)))
  }

  /** The number that stands for a topic in the arenas of this producer: 0 for the first one, and so on. */
  topicId(name: string): number {
    return attemptNow(`prepare to produce to ${name}`, () => native.producerTopicId(this.#handle, name))
  }

  /** Fences every older producer with the same id and aborts what it left open. Once, before `begin`. */
  async initTransactions(timeoutMs: number): Promise<void> {
    await this.#ask("initialise transactions", timeoutMs, (id, ms) => native.producerInit(this.#handle, id, ms))
  }

  begin(): void {
    attemptNow("begin a transaction", () => native.producerBegin(this.#handle))
  }

  /**
   * Queues `count` records of the arena, from record `from` on; they are copied. Returns how many were taken: fewer
   * when the queue is full. A record that is refused throws, with its index as `record`; those before it were taken.
   */
  produce(out: OutArena, from: number, count: number): number {
    return attemptNow("produce", () =>
      native.producerProduce(this.#handle, out.bytes, out.index, out.stamps, from, count)
    )
  }

  /** Waits until everything is delivered; rejects with the first delivery that failed since the last begin or flush. */
  async flush(timeoutMs: number): Promise<void> {
    await this.#ask("flush", timeoutMs, (id, ms) => native.producerFlush(this.#handle, id, ms))
  }

  /** Waits until at most `below` messages are pending: for going on after a full queue. */
  async drain(below: number, timeoutMs: number): Promise<void> {
    await this.#ask("wait for deliveries", timeoutMs, (id, ms) => native.producerDrain(this.#handle, id, below, ms))
  }

  /**
   * Adds consumed offsets (of the *next* record to read) to the transaction; without any, nothing is fenced. Of a
   * consumer the group's metadata is taken just before they are sent, on the producer's thread.
   */
  async sendOffsets(offsets: readonly CommitOffset[], group: Uint8Array | Consumer, timeoutMs: number): Promise<void> {
    const places = offsets.map(toOffsetPlace)
    await this.#ask("send offsets to the transaction", timeoutMs, (id, ms) =>
      group instanceof Uint8Array
        ? native.producerSendOffsets(this.#handle, id, places, group, ms)
        : native.producerSendOffsetsOf(this.#handle, id, places, group.handle, ms)
    )
  }

  /** After a time-out, call it again (the outcome is unknown until then) or close the producer; never abort. */
  async commit(timeoutMs: number): Promise<void> {
    await this.#ask("commit the transaction", timeoutMs, (id, ms) => native.producerCommit(this.#handle, id, ms))
  }

  /** Flush before it, else brokers may refuse it. */
  async abort(timeoutMs: number): Promise<void> {
    await this.#ask("abort the transaction", timeoutMs, (id, ms) => native.producerAbort(this.#handle, id, ms))
  }

  /** Gives up everything that is queued or on its way; flush then reports it. */
  purge(): void {
    attemptNow("purge", () => native.producerPurge(this.#handle))
  }

  /**
   * A transactional request ended in a transport error or time-out: a copy may still be on its way and end the *next*
   * transaction. Replace the producer before its next `begin`, even though the call succeeded.
   */
  get poisoned(): boolean {
    return native.producerPoisoned(this.#handle)
  }

  /** Messages that are not delivered yet, and (for a moment) events that the producer's thread has not served. */
  get pending(): number {
    return native.producerPending(this.#handle)
  }

  /** The error after which this producer must be replaced, if there was one. */
  fatalError(): KafkaError | undefined {
    const text = attemptNow("look for a fatal error", () => native.producerFatalError(this.#handle))
    return text === null ? undefined : kafkaError("go on", text)
  }

  /** What happened since the last call: at most 1000 logs and statistics are kept. */
  events(): ClientEvent[] {
    return readClientEvents(native.producerEvents(this.#handle))
  }

  /** Lets go of everything, after the calls before it; what was not flushed is given up. */
  async close(timeoutMs = 5000): Promise<void> {
    try {
      await this.#ask("close the producer", timeoutMs, (id, ms) => native.producerClose(this.#handle, id, ms))
    } catch (error) {
      if ((error as KafkaError).reason !== "Closed") throw error
    }
  }
}

type RawEvent = Exclude<ClientEvent, { type: "error" }> | { readonly type: "error"; readonly error: unknown }

export const readClientEvents = (text: string | null): ClientEvent[] => {
  const raw: RawEvent[] = JSON.parse(text ?? "[]")
  return raw.map(event =>
    event.type === "error" ? { type: "error", error: kafkaError("keep in touch with the cluster", event.error) } : event
  )
}
