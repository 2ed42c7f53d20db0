import { createHash } from "node:crypto"
import { ByteWriter } from "@headrace/core"
import { Effect, Result, Schema } from "effect"
import { type BlobError, Blobs } from "../ports/blobs.ts"
import { LogError, type TopicPartition } from "../ports/log.ts"

const MAGIC = 0x48_52_43_31 // "HRC1"
const DIGEST_BYTES = 32
const utf8 = new TextEncoder()
const text = new TextDecoder()

const Header = Schema.fromJsonString(
  Schema.Struct({
    topic: Schema.String,
    partition: Schema.Int,
    /** The changelog offset to read on from. */
    changelogOffset: Schema.Finite,
    /** The source offset that this state stands for. */
    sourceOffset: Schema.Finite,
    entries: Schema.Int
  })
)

/** The full state of one partition at a point of its changelog. */
export interface Checkpoint {
  readonly changelogOffset: number
  readonly sourceOffset: number
  /** In key order. */
  readonly entries: () => Iterable<readonly [Uint8Array, Uint8Array]>
}

/** `app/topic/partition/`, the prefix of a partition's checkpoints in the store. */
export const checkpointPrefix = (app: string, partition: TopicPartition): string =>
  `${app}/${partition.topic}/${partition.partition}/`

/** Names sort by the changelog offset that they cover. */
export const checkpointName = (app: string, partition: TopicPartition, changelogOffset: number): string =>
  `${checkpointPrefix(app, partition)}${String(changelogOffset).padStart(16, "0")}.checkpoint`

/** Makes a checkpoint's bytes: magic, header, entries with varint lengths, SHA-256 over all of it. */
export class CheckpointWriter {
  /** How many were added. */
  entries = 0
  private readonly body = new ByteWriter(1 << 16)

  /** Entries come in key order. */
  add(key: Uint8Array, value: Uint8Array): void {
    const { body } = this
    this.entries++
    body.varint(key.length)
    body.copy(key, 0, key.length)
    body.varint(value.length)
    body.copy(value, 0, value.length)
  }

  /** `at`: what the state stands for. */
  finish(
    { topic, partition }: TopicPartition,
    at: { readonly changelogOffset: number; readonly sourceOffset: number }
  ): Uint8Array {
    const { body, entries } = this
    const header = utf8.encode(Schema.encodeSync(Header)({ topic, partition, ...at, entries }))
    const out = new ByteWriter(body.length + header.length + DIGEST_BYTES + 16)
    out.u32(MAGIC)
    out.u32(header.length)
    out.copy(header, 0, header.length)
    out.copy(body.bytes, 0, body.length)
    const digest = createHash("sha256").update(out.written()).digest()
    out.copy(digest, 0, digest.length)
    return out.written()
  }
}

/** Throws with what is wrong: the caller falls back to an older checkpoint. */
export const decodeCheckpoint = (bytes: Uint8Array): Checkpoint => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 8 + DIGEST_BYTES || view.getUint32(0) !== MAGIC)
    throw new Error("it is not a checkpoint or was cut off")
  const end = bytes.length - DIGEST_BYTES
  const digest = createHash("sha256").update(bytes.subarray(0, end)).digest()
  if (!digest.equals(bytes.subarray(end))) throw new Error("its checksum does not fit its content")
  const start = 8 + view.getUint32(4)
  const header = Schema.decodeUnknownSync(Header)(text.decode(bytes.subarray(8, start)))
  return { ...header, entries: () => entriesOf(bytes, start, end) }
}

function* entriesOf(bytes: Uint8Array, start: number, end: number): Iterable<readonly [Uint8Array, Uint8Array]> {
  let at = start
  const field = (): Uint8Array => {
    let size = 0
    let scale = 1
    for (;;) {
      const byte = bytes[at++]!
      size += (byte & 127) * scale
      if (byte < 128) break
      scale *= 128
    }
    const from = at
    at += size
    return bytes.subarray(from, at)
  }
  while (at < end) yield [field(), field()]
}

/**
 * The newest checkpoint that can be read; a damaged one is reported and the one before is taken. One that was removed
 * since it was listed has made room for a newer one.
 */
export const newestCheckpoint = (
  app: string,
  partition: TopicPartition
): Effect.Effect<Checkpoint | undefined, LogError, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const list = blobs.list(checkpointPrefix(app, partition))
    let names = (yield* list).toReversed()
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const read = yield* Effect.result(blobs.get(name))
      if (Result.isFailure(read)) {
        names = (yield* list).toReversed()
        if (names.includes(name)) return yield* Effect.fail(read.failure)
        continue
      }
      const bytes = read.success
      const checkpoint = yield* Effect.try({ try: () => decodeCheckpoint(bytes), catch: asError }).pipe(
        Effect.catch(damage =>
          Effect.as(
            Effect.logError(`Checkpoint ${name} is damaged: ${damage.message}. Falling back to the one before.`),
            undefined
          )
        )
      )
      if (checkpoint !== undefined) return checkpoint
    }
    return undefined
  }).pipe(Effect.mapError(unreadable))

const asError = (cause: unknown): Error => (cause instanceof Error ? cause : new Error(String(cause)))
const unreadable = (error: BlobError): LogError => new LogError("Stop", error.message, { cause: error })
