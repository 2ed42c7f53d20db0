import { createRequire } from "node:module"

/** A consumer, producer, admin or arena as the add-on knows it. Only the add-on can look inside. */
export interface NativeHandle {
  readonly __native: unique symbol
}

/** A setting or topic configuration. */
export interface NativeSetting {
  readonly name: string
  readonly value: string
}

/** A partition, and a place in it where the call needs one. */
export interface NativePlace {
  readonly topic: string
  readonly partition: number
  readonly offset?: number
  readonly metadata?: string
}

/** Called for each answer: number of the request (0: an event), error as JSON, two numbers, JSON. */
export type NativeListener = (
  id: number,
  error: string | null | undefined,
  a: number,
  b: number,
  text: string | null | undefined
) => void

type Open = (settings: readonly NativeSetting[], listener: NativeListener) => NativeHandle
type Hold = (handle: NativeHandle, hold: boolean) => void
type Ask<A extends readonly unknown[]> = (handle: NativeHandle, id: number, ...args: A) => void
type Places = readonly NativePlace[]
type SetToken = (handle: NativeHandle, token: string, untilMs: number, principal: string) => void
type RefuseToken = (handle: NativeHandle, reason: string) => void

/** The add-on's functions. Those of type `Ask` answer through the listener, all others at once. */
export interface Native {
  readonly arenaCreate: (bytes: number, messages: number) => NativeArena

  readonly consumerOpen: Open
  readonly consumerHold: Hold
  readonly consumerWake: (handle: NativeHandle) => void
  readonly consumerRejoin: (handle: NativeHandle) => void
  readonly consumerPoll: Ask<[arena: NativeHandle, limit: number, timeoutMs: number]>
  readonly consumerSubscribe: Ask<[topics: readonly string[]]>
  readonly consumerAssign: Ask<[Places]>
  readonly consumerTake: Ask<[Places]>
  readonly consumerUnassign: Ask<[Places]>
  readonly consumerPause: Ask<[Places]>
  readonly consumerResume: Ask<[Places]>
  readonly consumerSeek: Ask<[Places, timeoutMs: number]>
  readonly consumerReadFrom: Ask<[Places, timeoutMs: number]>
  readonly consumerCommitted: Ask<[Places, timeoutMs: number]>
  readonly consumerCommit: Ask<[Places, timeoutMs: number]>
  readonly consumerOffsetsForTimes: Ask<[Places, timeoutMs: number]>
  readonly consumerWatermarks: Ask<[topic: string, partition: number, timeoutMs: number]>
  readonly consumerEpoch: Ask<[]>
  readonly consumerKnownEnd: (handle: NativeHandle, topic: string, partition: number) => number
  readonly consumerClose: Ask<[timeoutMs: number]>
  readonly consumerPosition: (handle: NativeHandle, places: Places) => string
  readonly consumerAssignment: (handle: NativeHandle) => string
  readonly consumerGroupMetadata: (handle: NativeHandle) => Uint8Array
  readonly consumerAssignmentLost: (handle: NativeHandle) => boolean
  readonly consumerMemberId: (handle: NativeHandle) => string
  readonly consumerFatalError: (handle: NativeHandle) => string | null
  readonly consumerTopicId: (handle: NativeHandle, name: string) => number
  readonly consumerTopic: (handle: NativeHandle, id: number) => string | null
  readonly consumerSetToken: SetToken
  readonly consumerRefuseToken: RefuseToken

  readonly producerOpen: Open
  readonly producerHold: Hold
  readonly producerTopicId: (handle: NativeHandle, name: string) => number
  readonly producerProduce: (
    handle: NativeHandle,
    bytes: Uint8Array,
    index: Int32Array,
    stamps: Float64Array,
    from: number,
    count: number
  ) => number
  readonly producerBegin: (handle: NativeHandle) => void
  readonly producerInit: Ask<[timeoutMs: number]>
  readonly producerFlush: Ask<[timeoutMs: number]>
  readonly producerDrain: Ask<[below: number, timeoutMs: number]>
  readonly producerSendOffsets: Ask<[Places, groupMetadata: Uint8Array, timeoutMs: number]>
  readonly producerSendOffsetsOf: Ask<[Places, consumer: NativeHandle, timeoutMs: number]>
  readonly producerCommit: Ask<[timeoutMs: number]>
  readonly producerAbort: Ask<[timeoutMs: number]>
  readonly producerClose: Ask<[timeoutMs: number]>
  readonly producerPurge: (handle: NativeHandle) => void
  readonly producerPoisoned: (handle: NativeHandle) => boolean
  readonly producerPending: (handle: NativeHandle) => number
  readonly producerEvents: (handle: NativeHandle) => string | null
  readonly producerFatalError: (handle: NativeHandle) => string | null
  readonly producerSetToken: SetToken
  readonly producerRefuseToken: RefuseToken

  readonly adminOpen: Open
  readonly adminHold: Hold
  readonly adminCreateTopics: Ask<[topics: readonly NativeTopic[], timeoutMs: number]>
  readonly adminDeleteTopics: Ask<[topics: readonly string[], timeoutMs: number]>
  readonly adminDeleteRecords: Ask<[Places, timeoutMs: number]>
  readonly adminMetadata: Ask<[topic: string | null, timeoutMs: number]>
  readonly adminSettings: Ask<[topics: readonly string[], timeoutMs: number]>
  readonly adminMembers: Ask<[group: string, timeoutMs: number]>
  readonly adminTransactions: Ask<[prefix: string, timeoutMs: number]>
  readonly adminClose: Ask<[timeoutMs: number]>
  readonly adminEvents: (handle: NativeHandle) => string | null
  readonly adminSetToken: SetToken
  readonly adminRefuseToken: RefuseToken
}

export interface NativeArena {
  readonly handle: NativeHandle
  readonly buffer: ArrayBuffer
  readonly stampsAt: number
  readonly indexAt: number
}

export interface NativeTopic {
  readonly topic: string
  readonly partitions: number
  readonly replication: number
  readonly config: readonly NativeSetting[]
}

const load = (): Native => {
  try {
    // Bun's bundler embeds an add-on only where it sees this very literal; Node and Deno need a require of their own.
    if (process.versions.bun !== undefined) return require("../native/headrace_kafka.node")
    return createRequire(import.meta.url)("../native/headrace_kafka.node")
  } catch (cause) {
    const how = "build it with `node packages/kafka/native/build.mjs`"
    throw new Error(`Cannot load the native Kafka add-on (${String(cause)}): ${how}`, { cause })
  }
}

/** The add-on, loaded once for each thread. */
export const native: Native = load()
