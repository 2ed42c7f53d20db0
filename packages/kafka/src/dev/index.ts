export { type Kafka, type KafkaOptions, startKafka } from "@headrace/dev"
