import { messageOf } from "@headrace/core"
import { Data } from "effect"

/** What the caller can do something about; `Other` says what it was in `code` and `message`. */
export type KafkaReason =
  | "BrokerGone"
  | "TimedOut"
  | "Fenced"
  | "Abortable"
  | "Fatal"
  | "RecordTooLarge"
  | "QueueFull"
  | "UnknownTopic"
  | "TopicExists"
  | "ArenaTooSmall"
  | "OffsetOutOfRange"
  | "Closed"
  | "InvalidArgument"
  | "AuthFailed"
  | "IllegalGeneration"
  | "MemberHeld"
  | "NotEnoughReplicas"
  | "Other"

/**
 * A failed call to Kafka, or an error that arrived as an event.
 *
 * `fatal`: the client is of no more use, close it and open another. `abortable`: the transaction must be aborted.
 * `retriable`: the same call may be made again.
 */
export class KafkaError extends Data.TaggedError("KafkaError")<{
  readonly reason: KafkaReason
  /** What was being done, like `commit the transaction`. */
  readonly operation: string
  /** What happened, to what, and what to do. */
  readonly message: string
  /** librdkafka's error; number 0 for errors that this package found itself. */
  readonly code: { readonly number: number; readonly name: string }
  readonly retriable: boolean
  readonly abortable: boolean
  readonly fatal: boolean
  /** `ArenaTooSmall`: bytes that an arena must hold for the message that waits. */
  readonly needed?: number
  /** Of `produce`: index in the arena of the record that was refused. All before it were accepted. */
  readonly record?: number
}> {}

/** An error as the add-on writes it. */
interface Fault {
  readonly code: number
  readonly kind: string
  readonly name: string
  readonly message: string
  readonly fatal: boolean
  readonly retriable: boolean
  readonly abortable: boolean
  readonly needed: number
  readonly record: number
}

const reasons: Record<string, KafkaReason> = {
  _TRANSPORT: "BrokerGone",
  _ALL_BROKERS_DOWN: "BrokerGone",
  _RESOLVE: "BrokerGone",
  _NODE_UPDATE: "BrokerGone",
  BROKER_NOT_AVAILABLE: "BrokerGone",
  NETWORK_EXCEPTION: "BrokerGone",
  COORDINATOR_NOT_AVAILABLE: "BrokerGone",
  COORDINATOR_LOAD_IN_PROGRESS: "BrokerGone",
  NOT_COORDINATOR: "BrokerGone",
  LEADER_NOT_AVAILABLE: "BrokerGone",
  NOT_LEADER_FOR_PARTITION: "BrokerGone",
  _WAIT_COORD: "BrokerGone",
  _TIMED_OUT: "TimedOut",
  _TIMED_OUT_QUEUE: "TimedOut",
  _MSG_TIMED_OUT: "TimedOut",
  REQUEST_TIMED_OUT: "TimedOut",
  _FENCED: "Fenced",
  PRODUCER_FENCED: "Fenced",
  INVALID_PRODUCER_EPOCH: "Fenced",
  _FATAL: "Fatal",
  MSG_SIZE_TOO_LARGE: "RecordTooLarge",
  RECORD_LIST_TOO_LARGE: "RecordTooLarge",
  _QUEUE_FULL: "QueueFull",
  _UNKNOWN_TOPIC: "UnknownTopic",
  _UNKNOWN_PARTITION: "UnknownTopic",
  UNKNOWN_TOPIC_OR_PART: "UnknownTopic",
  TOPIC_ALREADY_EXISTS: "TopicExists",
  OFFSET_OUT_OF_RANGE: "OffsetOutOfRange",
  _AUTO_OFFSET_RESET: "OffsetOutOfRange",
  OFFSET_NOT_AVAILABLE: "TimedOut",
  _INVALID_ARG: "InvalidArgument",
  INVALID_TOPIC_EXCEPTION: "InvalidArgument",
  INVALID_CONFIG: "InvalidArgument",
  INVALID_PARTITIONS: "InvalidArgument",
  INVALID_REPLICATION_FACTOR: "InvalidArgument",
  _AUTHENTICATION: "AuthFailed",
  _SSL: "AuthFailed",
  SASL_AUTHENTICATION_FAILED: "AuthFailed",
  TOPIC_AUTHORIZATION_FAILED: "AuthFailed",
  GROUP_AUTHORIZATION_FAILED: "AuthFailed",
  CLUSTER_AUTHORIZATION_FAILED: "AuthFailed",
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "AuthFailed",
  ILLEGAL_GENERATION: "IllegalGeneration",
  UNKNOWN_MEMBER_ID: "IllegalGeneration",
  REBALANCE_IN_PROGRESS: "IllegalGeneration",
  STALE_MEMBER_EPOCH: "IllegalGeneration",
  FENCED_MEMBER_EPOCH: "IllegalGeneration",
  // The group gave its static membership another member id, maybe for its own second request to join.
  FENCED_INSTANCE_ID: "IllegalGeneration",
  UNRELEASED_INSTANCE_ID: "MemberHeld",
  NOT_ENOUGH_REPLICAS: "NotEnoughReplicas",
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: "NotEnoughReplicas"
}

const own: ReadonlySet<string> = new Set([
  "Closed",
  "InvalidArgument",
  "TimedOut",
  "QueueFull",
  "ArenaTooSmall",
  "Other"
])

const advice: Partial<Record<KafkaReason, string>> = {
  BrokerGone: "Is a broker up at bootstrap.servers, and reachable from here? The client keeps trying.",
  Fenced: "Another client with the same id has taken over: close this one.",
  Fatal: "Close this client and open another.",
  RecordTooLarge: "Make the record smaller, or raise message.max.bytes here and max.message.bytes of the topic.",
  QueueFull: "Wait until some of it is done, then go on.",
  UnknownTopic: "Create the topic, or check its name and its number of partitions.",
  ArenaTooSmall: "Poll with an arena of at least that many bytes.",
  OffsetOutOfRange: "The records there are gone: seek to an offset that the log still has.",
  MemberHeld:
    "A member of this name was in the group and did not leave it (it was killed?): it is refused until the session of " +
    "that one has timed out, by default within 45 s. With group.protocol=classic it would take over at once.",
  NotEnoughReplicas: "Wait until enough brokers are in sync."
}

const SIGN_IN =
  "Look at security.protocol, sasl.mechanism, sasl.username and sasl.password among the cluster's settings."

/** What there is to look at when the cluster refuses, by librdkafka's name of the error. */
const refused: Readonly<Record<string, string>> = {
  _AUTHENTICATION: SIGN_IN,
  SASL_AUTHENTICATION_FAILED: SIGN_IN,
  _SSL:
    "Look at ssl.ca.location (who vouches for the brokers), ssl.certificate.location and ssl.key.location among the " +
    "cluster's settings.",
  TOPIC_AUTHORIZATION_FAILED: "Permit its user to read and describe, or to write, the topic.",
  GROUP_AUTHORIZATION_FAILED: "Permit its user to read the group.",
  CLUSTER_AUTHORIZATION_FAILED: "Permit its user to create topics and to write idempotently in the cluster.",
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "Permit its user to write and describe the transactional id."
}

const isFault = (value: unknown): value is Fault =>
  typeof value === "object" && value !== null && "kind" in value && "code" in value && "message" in value

const reasonOf = (fault: Fault): KafkaReason => {
  if (own.has(fault.kind)) return fault.kind as KafkaReason
  const named = reasons[fault.name]
  if (named !== undefined) return named
  if (fault.fatal) return "Fatal"
  return fault.abortable ? "Abortable" : "Other"
}

/** From what the add-on said (an object, or its JSON text). */
export const kafkaError = (operation: string, said: unknown): KafkaError => {
  const fault = parse(said)
  const reason = reasonOf(fault)
  const what = fault.message.replace(/[.\s]+$/, "")
  const code = { number: fault.code, name: fault.name }
  const { retriable, abortable, fatal } = fault
  return new KafkaError({
    reason,
    operation,
    message: [
      `Cannot ${operation}: ${what}${fault.code === 0 ? "" : ` (${fault.name})`}.`,
      refused[fault.name] ?? advice[reason] ?? ""
    ]
      .join(" ")
      .trim(),
    code,
    retriable,
    abortable,
    fatal,
    ...(fault.needed > 0 ? { needed: fault.needed } : {}),
    ...(fault.record >= 0 ? { record: fault.record } : {})
  })
}

const plain = (kind: string, message: string): Fault => ({
  code: 0,
  kind,
  name: kind,
  message,
  fatal: false,
  retriable: false,
  abortable: false,
  needed: 0,
  record: -1
})

const parse = (said: unknown): Fault => {
  if (isFault(said)) return said
  const text = messageOf(said)
  if (!text.startsWith("{")) return plain("InvalidArgument", text)
  const fault: unknown = JSON.parse(text)
  return isFault(fault) ? fault : plain("Other", text)
}

/** An argument that must not reach the add-on. */
export const invalid = (operation: string, message: string): KafkaError =>
  kafkaError(operation, plain("InvalidArgument", message))

/** Runs a call of the add-on that answers at once; what it throws becomes a `KafkaError`. */
export const attemptNow = <A>(operation: string, call: () => A): A => {
  try {
    return call()
  } catch (thrown) {
    throw thrown instanceof KafkaError ? thrown : kafkaError(operation, thrown)
  }
}
