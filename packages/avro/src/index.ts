export * as Avro from "./annotations.ts"
export { Codecs, type TopicDecoder } from "./codecs.ts"
export { makeDecoder } from "./decoder.ts"
export { DeriveError, derive } from "./derive.ts"
export { makeEncoder } from "./encoder.ts"
export { avroCodecs, avroCodecsOver } from "./port.ts"
export {
  Registry,
  RegistryError,
  type RegistryOptions,
  valueSubject,
  whileDown
} from "./registry.ts"
export { type AvroJson, published } from "./schema.ts"
