import { Context, type Effect, Schema, type Stream } from "effect"

/**
 * What became of a call to the checkpoint store. `Missing`: there is no such object. `Unavailable`: the same call may
 * work later (a server that is away, a full disk). `Refused`: a person must act (credentials, permissions, no bucket).
 */
export const BlobFailure = Schema.Literals(["Missing", "Unavailable", "Refused"])
export type BlobFailure = typeof BlobFailure.Type

/** A checkpoint store that cannot be read or written. `message` names the object and what to do. */
export class BlobError extends Schema.TaggedError<BlobError>()("BlobError", {
  failure: BlobFailure,
  message: Schema.String,
  cause: Schema.Defect()
}) {}

export interface Blob {
  readonly name: string
  /** Its size. */
  readonly bytes: number
}

/** Most of an object that a store holds in memory at a time while it reads; a chunk is no larger. */
export const CHUNK_BYTES = 1 << 20

/** Named, immutable objects: a directory, or a bucket. Both ways they pass through as a stream, whatever their size. */
export class Blobs extends Context.Service<
  Blobs,
  {
    /** The objects under a prefix that ends in "/", also further down, sorted by name. */
    readonly list: (prefix: string) => Effect.Effect<readonly Blob[], BlobError>
    /** The bytes of an object, in chunks as they come: they say nothing about its inside. */
    readonly read: (name: string) => Stream.Stream<Uint8Array, BlobError>
    /**
     * Atomic: once it succeeds the object is there whole and durable; a stream that fails, an interrupt or a crash leaves
     * what was there before. Chunks are the store's from then on: their maker does not touch them again.
     */
    readonly put: <E, R>(name: string, bytes: Stream.Stream<Uint8Array, E, R>) => Effect.Effect<void, BlobError | E, R>
    /** None of that name is no failure. */
    readonly remove: (name: string) => Effect.Effect<void, BlobError>
  }
>()("@headrace/engine/Blobs") {}
