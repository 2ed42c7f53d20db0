import { type KafkaError, kafkaError } from "./error.ts"
import { type NativeHandle, native } from "./native.ts"
import { type ClientEvent, readClientEvents } from "./producer.ts"
import {
  type Answer,
  type ClientOptions,
  type FoundOffset,
  foundOffsets,
  millis,
  open,
  type Position,
  type Requests,
  type TopicPartition,
  toPositionPlace
} from "./request.ts"

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /** Copies of each partition; −1 (the default) takes the cluster's setting. */
  readonly replication?: number
  readonly config?: Readonly<Record<string, string>>
}

export interface TopicMetadata {
  readonly topic: string
  readonly partitions: readonly PartitionMetadata[]
  readonly error?: KafkaError
}

export interface PartitionMetadata {
  readonly partition: number
  /** The broker that leads it; −1: none at the moment. */
  readonly leader: number
  readonly replicas: number
  readonly inSync: number
  readonly error?: KafkaError
}

/** Each broker tells of the transactions that it coordinates. */
export interface OpenTransactions {
  readonly ids: readonly string[]
  /** Why some broker has not told, so that what it coordinates is missing; null: all have. */
  readonly silent: string | null
}

/** By name, like `cleanup.policy`; null: the broker does not tell. */
export type TopicSettings = Readonly<Record<string, string | null>>

export interface GroupMember {
  /** Its `client.id`. */
  readonly name: string
  readonly partitions: readonly TopicPartition[]
}

export interface ClusterMetadata {
  readonly brokers: readonly { readonly id: number; readonly host: string; readonly port: number }[]
  readonly topics: readonly TopicMetadata[]
}

const kind = {
  open: native.adminOpen,
  hold: native.adminHold,
  setToken: native.adminSetToken,
  refuseToken: native.adminRefuseToken
}

const TIMEOUT_MS = 10_000

/** Topics of a cluster. Calls run one after the other on a thread of its own and reject with `KafkaError`. */
export class Admin {
  readonly #handle: NativeHandle
  readonly #requests: Requests

  private constructor(handle: NativeHandle, requests: Requests) {
    this.#handle = handle
    this.#requests = requests
  }

  static open(config: Readonly<Record<string, string>>, options: ClientOptions = {}): Admin {
    const { handle, requests } = open("admin client", kind, config, options)
    return new Admin(handle, requests)
  }

  #ask(operation: string, timeoutMs: number, call: (id: number, timeoutMs: number) => void): Promise<Answer> {
    return this.#requests.send(operation, id => call(id, millis(operation, timeoutMs)))
  }

  /** Rejects with the first topic's error (`TopicExists` for one that is there); the others are created all the same. */
  async createTopics(topics: readonly TopicSpec[], timeoutMs = TIMEOUT_MS): Promise<void> {
    if (topics.length === 0) return
    const specs = topics.map(({ topic, partitions, replication, config }) => ({
      topic,
      partitions,
      replication: replication ?? -1,
      config: Object.entries(config ?? {}).map(([name, value]) => ({ name, value }))
    }))
    const { text } = await this.#ask("create topics", timeoutMs, (id, ms) =>
      native.adminCreateTopics(this.#handle, id, specs, ms)
    )
    throwFirst("create topic", text)
  }

  /** Rejects with the first topic's error; the others are deleted all the same. */
  async deleteTopics(topics: readonly string[], timeoutMs = TIMEOUT_MS): Promise<void> {
    if (topics.length === 0) return
    const { text } = await this.#ask("delete topics", timeoutMs, (id, ms) =>
      native.adminDeleteTopics(this.#handle, id, topics, ms)
    )
    throwFirst("delete topic", text)
  }

  /** Deletes all records before these offsets; resolves to the partitions' new first offsets. */
  async deleteRecords(before: readonly Position[], timeoutMs = TIMEOUT_MS): Promise<FoundOffset[]> {
    if (before.length === 0) return []
    const operation = "delete records"
    const places = before.map(toPositionPlace)
    const { text } = await this.#ask(operation, timeoutMs, (id, ms) =>
      native.adminDeleteRecords(this.#handle, id, places, ms)
    )
    const found = foundOffsets(operation, text)
    const failed = found.find(({ error }) => error !== undefined)
    if (failed?.error !== undefined) throw failed.error
    return found
  }

  /**
   * The settings of each topic, as they are in force: its own, or the cluster's. Rejects with the first topic's error,
   * with `AuthFailed` where the client may not read them.
   */
  async settings(topics: readonly string[], timeoutMs = TIMEOUT_MS): Promise<ReadonlyMap<string, TopicSettings>> {
    if (topics.length === 0) return new Map()
    const { text } = await this.#ask("read the settings of topics", timeoutMs, (id, ms) =>
      native.adminSettings(this.#handle, id, topics, ms)
    )
    throwFirst("read the settings of the topic", text)
    const found: { readonly topic: string; readonly settings: TopicSettings }[] = JSON.parse(text ?? "[]")
    return new Map(found.map(({ topic, settings }) => [topic, settings]))
  }

  /**
   * Who is in a group, by client ids, and what each was given: nobody, if there is no such group, and undefined where brokers
   * do not tell (of a group of KIP-848, before Kafka 4.0).
   */
  async members(group: string, timeoutMs = TIMEOUT_MS): Promise<GroupMember[] | undefined> {
    const operation = `read the members of the group ${group}`
    const { text } = await this.#ask(operation, timeoutMs, (id, ms) => native.adminMembers(this.#handle, id, group, ms))
    return JSON.parse(text ?? "null") ?? undefined
  }

  /**
   * The open transactions, of those whose ids begin with `prefix`; undefined where brokers do not tell (before Kafka 3.0).
   * A broker that is away is not waited for longer than that: what it coordinates is missing then, which is said.
   */
  async transactions(prefix: string, timeoutMs = 2_000): Promise<OpenTransactions | undefined> {
    const { text } = await this.#ask("read the open transactions", timeoutMs, (id, ms) =>
      native.adminTransactions(this.#handle, id, prefix, ms)
    )
    return JSON.parse(text ?? "null") ?? undefined
  }

  /** Brokers and topics: those named (each with its own error), or all of them. */
  async metadata(topics: readonly string[] | "all", timeoutMs = TIMEOUT_MS): Promise<ClusterMetadata> {
    if (topics === "all") return this.#metadata(null, timeoutMs)
    const found: ClusterMetadata[] = []
    for (const topic of topics) found.push(await this.#metadata(topic, timeoutMs))
    return { brokers: found[0]?.brokers ?? [], topics: found.flatMap(one => one.topics) }
  }

  async #metadata(topic: string | null, timeoutMs: number): Promise<ClusterMetadata> {
    const operation = topic === null ? "read the cluster's metadata" : `read the metadata of ${topic}`
    const { text } = await this.#ask(operation, timeoutMs, (id, ms) =>
      native.adminMetadata(this.#handle, id, topic, ms)
    )
    return readMetadata(operation, text)
  }

  /** What happened since the last call. */
  events(): ClientEvent[] {
    return readClientEvents(native.adminEvents(this.#handle))
  }

  async close(timeoutMs = 5000): Promise<void> {
    try {
      await this.#ask("close the admin client", timeoutMs, (id, ms) => native.adminClose(this.#handle, id, ms))
    } catch (error) {
      if ((error as KafkaError).reason !== "Closed") throw error
    }
  }
}

const throwFirst = (operation: string, text: string | undefined): void => {
  const results: { readonly topic: string; readonly error?: unknown }[] = JSON.parse(text ?? "[]")
  const failed = results.find(({ error }) => error !== undefined)
  if (failed !== undefined) throw kafkaError(`${operation} ${failed.topic}`, failed.error)
}

type Raw<A> = Omit<A, "error" | "partitions"> & { readonly error?: unknown }
type RawTopic = Raw<TopicMetadata> & { readonly partitions: readonly Raw<PartitionMetadata>[] }

const readMetadata = (operation: string, text: string | undefined): ClusterMetadata => {
  const { brokers, topics }: { brokers: ClusterMetadata["brokers"]; topics: RawTopic[] } = JSON.parse(text ?? "{}")
  const errorOf = (error: unknown) => (error === undefined ? {} : { error: kafkaError(operation, error) })
  return {
    brokers,
    topics: topics.map(({ topic, partitions, error }) => ({
      topic,
      partitions: partitions.map(({ error, ...partition }) => ({ ...partition, ...errorOf(error) })),
      ...errorOf(error)
    }))
  }
}
