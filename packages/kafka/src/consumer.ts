import type { Arena } from "./arena.ts"
import { attemptNow, type KafkaError, kafkaError } from "./error.ts"
import { type NativeHandle, native } from "./native.ts"
import {
  type Answer,
  type ClientOptions,
  type CommitOffset,
  type FoundOffset,
  foundOffsets,
  millis,
  open,
  type Position,
  type Requests,
  type TopicPartition,
  toOffsetPlace,
  toPlace,
  toPositionPlace
} from "./request.ts"

/** What happened beside messages. A rebalance waits until the caller has called `assign` or `unassign` for it. */
export type ConsumerEvent =
  | { readonly type: "assign" | "revoke" | "lost"; readonly partitions: readonly TopicPartition[] }
  | { readonly type: "error"; readonly error: KafkaError; readonly partition?: TopicPartition }
  /** The end of a partition was reached (with `enable.partition.eof`); `offset` is where the next record will be. */
  | { readonly type: "end"; readonly topic: string; readonly partition: number; readonly offset: number }
  /** librdkafka's statistics, with `statistics.interval.ms`. */
  | { readonly type: "stats"; readonly json: string }
  /** `level` as in syslog: 3 error, 4 warning, 6 information, 7 debug. */
  | { readonly type: "log"; readonly level: number; readonly facility: string; readonly message: string }

/** Messages written into the arena, and what happened after them. */
export interface Poll {
  readonly count: number
  readonly bytesUsed: number
  readonly events: readonly ConsumerEvent[]
}

const kind = {
  open: native.consumerOpen,
  hold: native.consumerHold,
  setToken: native.consumerSetToken,
  refuseToken: native.consumerRefuseToken
}

/**
 * A Kafka consumer with a thread of its own, on which all calls that wait run one after the other. A call ends a poll
 * that waits (it then resolves with what it has, maybe nothing). Calls reject with `KafkaError`.
 */
export class Consumer {
  readonly #handle: NativeHandle
  readonly #requests: Requests
  readonly #topics: string[] = []

  private constructor(handle: NativeHandle, requests: Requests) {
    this.#handle = handle
    this.#requests = requests
  }

  /** Settings are librdkafka's, over `CLIENT_DEFAULTS`; `group.id` is needed even if only `assign` is used. */
  static open(config: Readonly<Record<string, string>>, options: ClientOptions = {}): Consumer {
    const { handle, requests } = open("consumer", kind, config, options)
    return new Consumer(handle, requests)
  }

  #ask(operation: string, call: (id: number) => void): Promise<Answer> {
    return this.#requests.send(operation, call)
  }

  /** Joins the group for these topics (a name that starts with ^ is a pattern); none: leaves it. */
  async subscribe(topics: readonly string[]): Promise<void> {
    await this.#ask(`subscribe to ${topics.join(", ")}`, id => native.consumerSubscribe(this.#handle, id, topics))
  }

  /**
   * Has the group give partitions out anew; each member keeps what it keeps. Nothing happens while it does so anyway, to a member of
   * a KIP-848 group, which the broker gives what it is to have, and without a group.
   */
  rejoin(): void {
    attemptNow("ask the group to give partitions out anew", () => native.consumerRejoin(this.#handle))
  }

  /** In a group: answers an "assign" event. Without a subscription: reads exactly these partitions. */
  async assign(positions: readonly Position[]): Promise<void> {
    await this.#ask("assign partitions", id => native.consumerAssign(this.#handle, id, positions.map(toPositionPlace)))
  }

  /** Answers an "assign" event without reading yet: `readFrom` begins it. */
  async take(partitions: readonly TopicPartition[]): Promise<void> {
    const places = partitions.map(({ topic, partition }) => toPositionPlace({ topic, partition, offset: 0 }))
    await this.#ask("take partitions", id => native.consumerTake(this.#handle, id, places))
  }

  /** Answers a "revoke" or "lost" event; messages of these partitions that were not polled yet are dropped. */
  async unassign(partitions: readonly TopicPartition[]): Promise<void> {
    await this.#ask("give partitions back", id => native.consumerUnassign(this.#handle, id, partitions.map(toPlace)))
  }

  /**
   * Waits up to `timeoutMs` for a message or an event, then takes what is there, up to `maxMessages` and the arena's
   * room. Rejects with `ArenaTooSmall` (`needed` bytes) if not even one message fits: it is kept for the next poll.
   */
  poll(arena: Arena, maxMessages: number, timeoutMs: number): Promise<Poll> {
    const limit = Math.max(0, Math.min(maxMessages, arena.messages))
    const call = (id: number) => native.consumerPoll(this.#handle, id, arena.handle, limit, millis("poll", timeoutMs))
    return this.#ask("poll", call).then(toPoll)
  }

  /** Ends a poll that waits. */
  wake(): void {
    native.consumerWake(this.#handle)
  }

  async pause(partitions: readonly TopicPartition[]): Promise<void> {
    await this.#ask("pause partitions", id => native.consumerPause(this.#handle, id, partitions.map(toPlace)))
  }

  async resume(partitions: readonly TopicPartition[]): Promise<void> {
    await this.#ask("resume partitions", id => native.consumerResume(this.#handle, id, partitions.map(toPlace)))
  }

  /** Goes on elsewhere in partitions that are assigned; messages from before are not polled any more. */
  async seek(positions: readonly Position[], timeoutMs: number): Promise<void> {
    const places = positions.map(toPositionPlace)
    await this.#ask("seek", id => native.consumerSeek(this.#handle, id, places, millis("seek", timeoutMs)))
  }

  /** Reads on here in partitions that were taken or paused. One that was just taken is refused until the client has begun with it. */
  async readFrom(positions: readonly Position[], timeoutMs: number): Promise<void> {
    const operation = "read on"
    const places = positions.map(toPositionPlace)
    await this.#ask(operation, id => native.consumerReadFrom(this.#handle, id, places, millis(operation, timeoutMs)))
  }

  /**
   * The group's committed offsets (−1001: none), each with its own error. With `isolation.level=read_committed` it
   * waits until offsets of transactions that are about to end are stable.
   */
  committed(partitions: readonly TopicPartition[], timeoutMs: number): Promise<FoundOffset[]> {
    const operation = "read committed offsets"
    const call = (id: number) =>
      native.consumerCommitted(this.#handle, id, partitions.map(toPlace), millis(operation, timeoutMs))
    return this.#ask(operation, call).then(({ text }) => foundOffsets(operation, text))
  }

  /** Commits offsets (of the *next* record to read) for the group; rejects with the first partition's error. */
  async commit(offsets: readonly CommitOffset[], timeoutMs: number): Promise<void> {
    const operation = "commit offsets"
    const places = offsets.map(toOffsetPlace)
    const call = (id: number) => native.consumerCommit(this.#handle, id, places, millis(operation, timeoutMs))
    const found = foundOffsets(operation, (await this.#ask(operation, call)).text)
    const failed = found.find(({ error }) => error !== undefined)
    if (failed?.error !== undefined) throw failed.error
  }

  /** For each partition the first offset with at least this timestamp (−1: there is none, the end). */
  offsetsForTimes(
    times: readonly (TopicPartition & { readonly timestampMs: number })[],
    timeoutMs: number
  ): Promise<FoundOffset[]> {
    const operation = "look up offsets by time"
    const places = times.map(({ topic, partition, timestampMs }) => ({ topic, partition, offset: timestampMs }))
    const call = (id: number) => native.consumerOffsetsForTimes(this.#handle, id, places, millis(operation, timeoutMs))
    return this.#ask(operation, call).then(({ text }) => foundOffsets(operation, text))
  }

  /** The log's first offset and its end, asked from the broker; with `read_committed` the end is the last stable one. */
  watermarkOffsets(topic: string, partition: number, timeoutMs: number): Promise<{ low: number; high: number }> {
    const operation = `read the range of ${topic} [${partition}]`
    const call = (id: number) =>
      native.consumerWatermarks(this.#handle, id, topic, partition, millis(operation, timeoutMs))
    return this.#ask(operation, call).then(({ a, b }) => ({ low: a, high: b }))
  }

  /** The partition's end (high watermark) as of the last fetch: no request. Undefined before the first one. */
  knownEnd(topic: string, partition: number): number | undefined {
    const end = native.consumerKnownEnd(this.#handle, topic, partition)
    return end < 0 ? undefined : end
  }

  /** Behind the last message that was taken from librdkafka; −1001 before the first. Prefer your own count. */
  position(partitions: readonly TopicPartition[]): FoundOffset[] {
    const operation = "read positions"
    const text = attemptNow(operation, () => native.consumerPosition(this.#handle, partitions.map(toPlace)))
    return foundOffsets(operation, text)
  }

  assignment(): TopicPartition[] {
    const operation = "read the assignment"
    const text = attemptNow(operation, () => native.consumerAssignment(this.#handle))
    return foundOffsets(operation, text).map(({ topic, partition }) => ({ topic, partition }))
  }

  /** For `Producer.sendOffsets`. */
  get handle(): NativeHandle {
    return this.#handle
  }

  /** The member's identity and epoch, for a `Producer.sendOffsets` elsewhere; take it just before. Waits for it. */
  groupMetadata(): Uint8Array {
    return attemptNow("read the group's metadata", () => native.consumerGroupMetadata(this.#handle))
  }

  /** The partitions were taken away already (a time-out): committing for them must fail. */
  assignmentLost(): boolean {
    return attemptNow("look at the assignment", () => native.consumerAssignmentLost(this.#handle))
  }

  /** The member's epoch (classic protocol: generation); 0 or less before the group has answered that it has joined. */
  epoch(): Promise<number> {
    return this.#ask("read the member's epoch", id => native.consumerEpoch(this.#handle, id)).then(({ a }) => a)
  }

  memberId(): string {
    return attemptNow("read the member id", () => native.consumerMemberId(this.#handle))
  }

  /** The error after which this consumer must be replaced, if there was one. */
  fatalError(): KafkaError | undefined {
    const text = attemptNow("look for a fatal error", () => native.consumerFatalError(this.#handle))
    return text === null ? undefined : kafkaError("go on", text)
  }

  /** The topic behind a number in an arena's index. */
  topic(id: number): string {
    const known = this.#topics[id]
    if (known !== undefined) return known
    const name = attemptNow("look up a topic", () => native.consumerTopic(this.#handle, id))
    if (name === null) throw kafkaError("look up a topic", `${id} is the number of no topic`)
    this.#topics[id] = name
    return name
  }

  /** The number that stands for a topic in the arenas of this consumer. */
  topicId(name: string): number {
    return attemptNow("number a topic", () => native.consumerTopicId(this.#handle, name))
  }

  /**
   * Ends polls, leaves the group (within `timeoutMs`) and lets go of everything. Revocations are answered inside.
   * What was called before is done first; what is called later rejects with `Closed`, a second close too is harmless.
   */
  async close(timeoutMs = 5000): Promise<void> {
    try {
      await this.#ask("leave the group", id => native.consumerClose(this.#handle, id, millis("close", timeoutMs)))
    } catch (error) {
      if ((error as KafkaError).reason !== "Closed") throw error
    }
  }
}

const none: readonly ConsumerEvent[] = []

const toPoll = ({ a, b, text }: Answer): Poll => ({
  count: a,
  bytesUsed: b,
  events: text === undefined ? none : readEvents(text)
})

type RawEvent =
  | Exclude<ConsumerEvent, { type: "error" }>
  | { readonly type: "error"; readonly error: unknown; readonly topic?: string; readonly partition?: number }

const readEvents = (text: string): ConsumerEvent[] => (JSON.parse(text) as RawEvent[]).map(toEvent)

const toEvent = (raw: RawEvent): ConsumerEvent => {
  switch (raw.type) {
    case "error":
      return toErrorEvent(raw.error, raw.topic, raw.partition)
    case "assign":
    case "revoke":
    case "lost":
      return { type: raw.type, partitions: raw.partitions.map(({ topic, partition }) => ({ topic, partition })) }
    default:
      return raw
  }
}

const toErrorEvent = (said: unknown, topic: string | undefined, partition: number | undefined): ConsumerEvent => {
  if (topic === undefined || partition === undefined) return { type: "error", error: kafkaError("consume", said) }
  return { type: "error", error: kafkaError(`consume ${topic} [${partition}]`, said), partition: { topic, partition } }
}
