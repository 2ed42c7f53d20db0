export { cacheRoot, type Log } from "./cache.ts"
export {
  type ClickHouse,
  type ClickHouseOptions,
  embeddedClickHouse,
  ensureClickHouse,
  startClickHouse
} from "./clickhouse.ts"
export { type KafkaCluster, startKafkaCluster } from "./cluster.ts"
export { consumerSessionMs, ensureKafka, type Kafka, type KafkaOptions, kafkaVersion, startKafka } from "./kafka.ts"
export { freePorts, StartFailed } from "./process.ts"
export { ensureRegistry, type Registry, type RegistryOptions, registryVersion, startRegistry } from "./registry.ts"
export { ensureS3, type S3, type S3Options, startS3 } from "./s3.ts"
export { ensureServers } from "./servers.ts"
export { MissingTool } from "./tools.ts"
