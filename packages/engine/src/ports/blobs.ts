import { Context, type Effect, Schema } from "effect"

/** A checkpoint store that cannot be read or written. `message` names the object and what to do. */
export class BlobError extends Schema.TaggedError<BlobError>()("BlobError", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/**
 * Named, immutable objects: a directory, or a bucket. `put` is atomic: an object is there whole and durable, or not
 * at all.
 */
export class Blobs extends Context.Service<
  Blobs,
  {
    /** The names under a prefix that ends in "/", sorted. */
    readonly list: (prefix: string) => Effect.Effect<readonly string[], BlobError>
    readonly get: (name: string) => Effect.Effect<Uint8Array, BlobError>
    readonly put: (name: string, bytes: Uint8Array) => Effect.Effect<void, BlobError>
    readonly remove: (name: string) => Effect.Effect<void, BlobError>
  }
>()("@headrace/engine/Blobs") {}
