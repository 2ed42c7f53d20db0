export { cacheRoot, type Log } from "./cache.ts"
export {
  type ClickHouse,
  embeddedClickHouse,
  startClickHouse
} from "./clickhouse.ts"
export { type KafkaCluster, startKafkaCluster } from "./cluster.ts"
export { consumerSessionMs, type Kafka, type KafkaOptions, startKafka } from "./kafka.ts"
export { freePorts, StartFailed } from "./process.ts"
export { type Registry, type RegistryOptions, startRegistry } from "./registry.ts"
export { type S3, startS3 } from "./s3.ts"
export { ensureServers } from "./servers.ts"
export { MissingTool } from "./tools.ts"
