export {
  Admin,
  type ClusterMetadata,
  type PartitionMetadata,
  type TopicMetadata,
  type TopicSettings,
  type TopicSpec
} from "./admin.ts"
export * from "./arena.ts"
export { kafkaClients } from "./clients.ts"
export { kafkaCommittedLogs } from "./committed-log.ts"
export { Consumer, type ConsumerEvent, type Poll } from "./consumer.ts"
export { type KafkaSettings, PRODUCER_DEFAULTS, SOURCE_DEFAULTS } from "./defaults.ts"
export { KafkaError, type KafkaReason } from "./error.ts"
export { type Header, headersLength, readHeaders, writeHeaders } from "./header.ts"
export { type ClientEvent, Producer } from "./producer.ts"
export type { ClientOptions, CommitOffset, FoundOffset, Position, Token, TopicPartition } from "./request.ts"
export { openTopicReader, type TopicReader } from "./topic-reader.ts"
