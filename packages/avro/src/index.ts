export { type Decoder, makeDecoder } from "./decoder.ts"
export { makeEncoder } from "./encoder.ts"
export { type AvroJson, published } from "./schema.ts"
