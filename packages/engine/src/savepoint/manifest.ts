import { createHash } from "node:crypto"
import type { StateSchema } from "@headrace/core"
import { Schema } from "effect"

/** The format of manifests and files that this version writes. */
const FORMAT = 1

const Operator = Schema.Struct({
  id: Schema.String,
  /** The source topic whose partitions hold it. */
  topic: Schema.String,
  /** A `StateSchema` of core: what it keeps, and in which shapes. */
  schema: Schema.Any,
  entries: Schema.Int,
  /** Of a window: each key counts in each open window. */
  keys: Schema.Int,
  bytes: Schema.Finite
})

const Partition = Schema.Struct({
  topic: Schema.String,
  partition: Schema.Int,
  /** The next source offset; null where nothing was ever committed. */
  sourceOffset: Schema.NullOr(Schema.Finite),
  entries: Schema.Int,
  bytes: Schema.Finite
})

const Stage = Schema.Struct({
  /** Of the exchange. */
  id: Schema.String,
  /** The topics whose partitions flow into it: its event time is kept by their numbers, in this order. */
  upstream: Schema.Array(Schema.String)
})

const Manifest = Schema.Struct({
  format: Schema.Int,
  id: Schema.String,
  app: Schema.String,
  pipeline: Schema.String,
  /** Of the plan that the savepoint was taken with. */
  digest: Schema.String,
  headrace: Schema.String,
  createdAt: Schema.String,
  /** Event time was taken to its end: windows and timers have fired. */
  drained: Schema.Boolean,
  partitions: Schema.Array(Partition),
  operators: Schema.Array(Operator),
  stages: Schema.optionalKey(Schema.Array(Stage))
})

/** What a savepoint says of itself, beside its files. */
export interface Manifest extends Omit<typeof Manifest.Type, "operators"> {
  readonly operators: readonly OperatorContents[]
}
export interface OperatorContents extends Omit<typeof Operator.Type, "schema"> {
  readonly schema: StateSchema
}
export type PartitionContents = typeof Partition.Type

const Signed = Schema.fromJsonString(Schema.Struct({ sha256: Schema.String, manifest: Schema.Any }))
const text = new TextDecoder()
const utf8 = new TextEncoder()

/** The bytes of a manifest: JSON, with the SHA-256 of the manifest's own JSON. */
export const encodeManifest = (manifest: Omit<Manifest, "format">): Uint8Array => {
  const whole = { format: FORMAT, ...manifest }
  return utf8.encode(`${JSON.stringify({ sha256: digestOf(whole), manifest: whole }, null, 2)}\n`)
}

/** Throws with what is wrong. */
export const decodeManifest = (bytes: Uint8Array): Manifest => {
  const { sha256, manifest } = Schema.decodeUnknownSync(Signed)(text.decode(bytes))
  if (digestOf(manifest) !== sha256) throw new Error("its checksum does not fit its content")
  if (manifest.format !== FORMAT)
    throw new Error(`it has format ${manifest.format}, and this version of Headrace knows format ${FORMAT}`)
  return Schema.decodeUnknownSync(Manifest)(manifest)
}

const digestOf = (manifest: unknown): string => createHash("sha256").update(JSON.stringify(manifest)).digest("hex")

/** The partitions of a topic in a savepoint, in their order. */
export const partitionsOf = (manifest: Manifest, topic: string): readonly PartitionContents[] =>
  manifest.partitions.filter(one => one.topic === topic).toSorted((a, b) => a.partition - b.partition)
