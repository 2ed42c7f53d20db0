import { blockOf, ChangeSet, type Merge, messageOf, type StoredBlock } from "@headrace/core"
import { Effect, Result, Schema, type Scope, Stream } from "effect"
import { type Blob, BlobError, Blobs } from "../ports/blobs.ts"
import { type ChangelogReader, LogError, type LogFailure, type TopicPartition } from "../ports/log.ts"
import { type CheckpointHeader, type CheckpointPart, CheckpointReader, isHeader } from "./checkpoint-file.ts"

/** The bytes of a checkpoint are not what was written. `message` says of which one, and what is wrong. */
export class CheckpointDamaged extends Schema.TaggedError<CheckpointDamaged>()("CheckpointDamaged", {
  message: Schema.String
}) {}

/** The full state of one partition at a point of its changelog, as it comes from the store. */
export interface Checkpoint extends CheckpointHeader {
  readonly name: string
  /** Of all its objects. */
  readonly bytes: number
  /** The objects that it consists of: a full one, and then changes to it; itself is the last. */
  readonly objects: readonly Blob[]
  /**
   * Its entries in key order, as blocks (core's state/block.ts), each checked before it comes; once only. Views: what is
   * kept beyond the pull of the next one is copied. It fails where damage begins: what came before is not the whole state.
   */
  readonly blocks: Stream.Stream<StoredBlock, CheckpointDamaged | BlobError, Blobs>
  /** In place of them what all objects consist of, not merged: for who wants to know only whether it can be read. */
  readonly stored: Stream.Stream<StoredBlock, CheckpointDamaged | BlobError, Blobs>
}

/** `app/topic/`, the prefix of the checkpoints of all partitions of a topic. */
export const checkpointsOf = (app: string, topic: string): string => `${app}/${topic}/`

/** `app/topic/partition/`, the prefix of a partition's checkpoints in the store. */
export const checkpointPrefix = (app: string, partition: TopicPartition): string =>
  `${checkpointsOf(app, partition.topic)}${partition.partition}/`

/** Names sort by the changelog offset that they cover. */
export const checkpointName = (app: string, partition: TopicPartition, changelogOffset: number): string =>
  `${checkpointPrefix(app, partition)}${String(changelogOffset).padStart(16, "0")}.checkpoint`

/** The changelog offset that the checkpoint of this name covers. */
const coveredBy = (name: string): number => Number.parseInt(name.slice(name.lastIndexOf("/") + 1), 10)

/** Begins to read one: its header is here, the rest comes by its `blocks`, while the scope lives. */
export const openCheckpoint = (
  blob: Blob
): Effect.Effect<Checkpoint, CheckpointDamaged | BlobError, Blobs | Scope.Scope> =>
  Effect.gen(function* () {
    const { header, payloads } = yield* openObject(blob)
    const objects = yield* objectsOf(blob, header)
    const bytes = objects.reduce((sum, one) => sum + one.bytes, 0)
    const blocks = header.over === undefined ? payloads : merged(objects, payloads)
    const stored = Stream.concat(payloads, Stream.flatMap(Stream.fromIterable(objects.slice(0, -1)), payloadsOf))
    return { ...header, name: blob.name, bytes, objects, blocks, stored }
  })

interface OpenObject {
  readonly header: CheckpointHeader
  readonly payloads: Stream.Stream<StoredBlock, CheckpointDamaged | BlobError>
}

const payloadsOf = (blob: Blob) => Stream.unwrap(Effect.map(openObject(blob), object => object.payloads))

const openObject = (blob: Blob): Effect.Effect<OpenObject, CheckpointDamaged | BlobError, Blobs | Scope.Scope> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const pull = yield* Stream.toPull(partsOf(blob.name, blobs.read(blob.name)))
    const [header, ...first] = yield* Effect.catchTag(pull, "Done", () => Effect.succeed([] as const))
    if (header === undefined || !isHeader(header)) return yield* damaged(blob.name, new Error("it has no header"))
    const rest = Stream.concat(Stream.fromIterable(first), Stream.fromPull(Effect.succeed(pull)))
    return { header, payloads: Stream.filter(rest, isPayload) }
  })

/** Itself and what it stands on. Without one of those it is as good as damaged. */
const objectsOf = (blob: Blob, { over = [] }: CheckpointHeader) =>
  Effect.gen(function* () {
    if (over.length === 0) return [blob]
    const blobs = yield* Blobs
    const there = yield* blobs.list(blob.name.slice(0, blob.name.lastIndexOf("/") + 1))
    const objects: Blob[] = []
    for (const name of over) {
      const one = there.find(other => other.name === name)
      if (one === undefined) return yield* damaged(blob.name, new Error(`it stands on ${name}, which is not there`))
      objects.push(one)
    }
    return [...objects, blob]
  })

/** The full one's entries, with the changes of the others and of the last one, which is open already. */
const merged = (objects: readonly Blob[], last: OpenObject["payloads"]) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const changes = new ChangeSet()
      const between = Stream.flatMap(Stream.fromIterable(objects.slice(1, -1)), payloadsOf)
      yield* Stream.runForEach(Stream.concat(between, last), ({ bytes }) => Effect.sync(() => changes.add(bytes)))
      const merge = changes.merging()
      const through = Stream.map(payloadsOf(objects[0]!), block => mergedBlock(merge, block))
      return Stream.concat(
        through,
        Stream.suspend(() => Stream.make({ bytes: blockOf(merge.rest()) }))
      )
    })
  )

/** A block of which nothing changed keeps its index. */
const mergedBlock = (merge: Merge, block: StoredBlock): StoredBlock => {
  const bytes = merge.through(block.bytes)
  return bytes === block.bytes ? block : { bytes }
}

/** How often in a row a checkpoint is read that the store does not hand over, and the first pause in between, which doubles. */
const READS = 4
const READ_AGAIN_MS = 100

export interface NewestOptions<E, R> {
  /** Only checkpoints that cover no more than the changelog before this offset. */
  readonly upTo?: number
  /**
   * Whether the changelog has what comes behind a checkpoint. With it one that the store does not hand over, again and again,
   * is passed over as well, where one before it can be read and takes its place.
   */
  readonly reaches?: (checkpoint: CheckpointHeader) => Effect.Effect<boolean, E, R>
}

/**
 * Uses the newest checkpoint, or none. If it turns out to be damaged on the way, that is logged, and `use` is called with
 * the one before: it has to throw away what it made of the first. A store that is away is no damage: that fails.
 */
export const fromNewest = <A, E, R>(
  app: string,
  partition: TopicPartition,
  use: (checkpoint: Checkpoint | undefined) => Effect.Effect<A, E, R>,
  { upTo = Number.POSITIVE_INFINITY, reaches }: NewestOptions<E, R> = {}
): Effect.Effect<A, Exclude<E, CheckpointDamaged> | BlobError, Exclude<R, Scope.Scope> | Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const tried = new Set<string>()
    let unread: BlobError | undefined
    let reads = 0
    for (;;) {
      // Listed again each time: one that is gone has made room for newer ones, and a store that is away does not answer.
      const list = yield* blobs.list(checkpointPrefix(app, partition))
      const blob = list.findLast(one => !tried.has(one.name) && coveredBy(one.name) <= upTo)
      if (blob === undefined) return yield* unread === undefined ? Effect.scoped(use(undefined)) : Effect.fail(unread)
      const reading = new Reading()
      const used = Effect.gen(function* () {
        const checkpoint = yield* reading.open(blob)
        if (unread !== undefined) yield* takesPlace(checkpoint, unread, reaches!)
        return yield* use(checkpoint)
      })
      const result = yield* Effect.result(Effect.scoped(used))
      if (Result.isSuccess(result)) return result.success
      const { failure } = result
      if (reaches !== undefined && reading.failedWith(failure)) {
        reads++
        if (reads < READS) {
          yield* Effect.sleep(READ_AGAIN_MS * 2 ** (reads - 1))
          continue
        }
        unread ??= failure
      } else if (!(yield* isPassedOver(failure))) return yield* Effect.fail(failure)
      tried.add(blob.name)
      reads = 0
    }
  }) as Effect.Effect<A, Exclude<E, CheckpointDamaged> | BlobError, Exclude<R, Scope.Scope> | Blobs>

/** Tells what a checkpoint could not be read for from what else failed while it was used. */
class Reading {
  private failure: BlobError | undefined

  open(blob: Blob): ReturnType<typeof openCheckpoint> {
    const note = (error: CheckpointDamaged | BlobError) =>
      Effect.sync(() => {
        if (error._tag === "BlobError") this.failure = error
      })
    return Effect.map(Effect.tapError(openCheckpoint(blob), note), checkpoint => ({
      ...checkpoint,
      blocks: Stream.tapError(checkpoint.blocks, note),
      stored: Stream.tapError(checkpoint.stored, note)
    }))
  }

  /** The same call may work later, or never. */
  failedWith(error: unknown): error is BlobError {
    return error === this.failure && this.failure?.failure === "Unavailable"
  }
}

/** In place of a newer one that cannot be read; nothing may be missing behind it. */
const takesPlace = <E, R>(
  checkpoint: Checkpoint,
  unread: BlobError,
  reaches: NonNullable<NewestOptions<E, R>["reaches"]>
): Effect.Effect<void, E | BlobError, R> =>
  Effect.flatMap(reaches(checkpoint), reached =>
    reached
      ? Effect.logError(
          `A checkpoint could not be read ${READS} times in a row, though the store answers: ${unread.message} Falling back to the one before, ${checkpoint.name}.`
        )
      : Effect.fail(unread)
  )

/** Whether this changelog has what comes behind a checkpoint. */
export const reachesBack =
  (changelog: ChangelogReader, log: TopicPartition) =>
  ({ changelogOffset }: CheckpointHeader): Effect.Effect<boolean, LogError> =>
    Effect.map(
      changelog.read(log, changelogOffset, () => false),
      ({ start }) => start <= changelogOffset
    )

/** What a checkpoint is of; undefined, loudly, if it is damaged or cannot be read. Only with `whole` all of it is looked at. */
export const inspect = (
  blob: Blob,
  { whole, breathe }: { readonly whole: boolean; readonly breathe: Effect.Effect<void> }
): Effect.Effect<Checkpoint | undefined, BlobError, Blobs> =>
  Effect.gen(function* () {
    const checkpoint = yield* openCheckpoint(blob)
    if (whole) yield* Stream.runForEach(checkpoint.stored, () => breathe)
    return checkpoint
  }).pipe(
    Effect.scoped,
    Effect.catchTag("CheckpointDamaged", error => Effect.as(isPassedOver(error), undefined)),
    Effect.catch(error => {
      if (error.failure === "Refused") return Effect.fail(error)
      const say =
        error.failure === "Missing" ? Effect.void : Effect.logError(`${error.message} So it is none to fall back to.`)
      return Effect.as(say, undefined)
    })
  )

/** How a lane, or a round of checkpoints, fails for it. `otherwise`: where a person must act. */
export const storeError = (error: BlobError, otherwise: LogFailure): LogError =>
  new LogError(error.failure === "Refused" ? otherwise : "Retry", error.message, { cause: error })

/** Whether the one before may do in its place: what is damaged is told, what is gone was old. */
const isPassedOver = (error: unknown): Effect.Effect<boolean> =>
  error instanceof CheckpointDamaged
    ? Effect.as(Effect.logError(`${error.message} Falling back to the one before.`), true)
    : Effect.succeed(error instanceof BlobError && error.failure === "Missing")

const partsOf = (
  name: string,
  bytes: Stream.Stream<Uint8Array, BlobError>
): Stream.Stream<CheckpointPart, CheckpointDamaged | BlobError> =>
  Stream.suspend(() => {
    const reader = new CheckpointReader()
    const parts = Stream.mapEffect(bytes, chunk =>
      Effect.try({ try: () => reader.push(chunk), catch: cause => asDamage(name, cause) })
    )
    const end = Effect.try({ try: () => reader.end(), catch: cause => asDamage(name, cause) })
    return Stream.concat(Stream.flattenIterable(parts), Stream.fromEffectDrain(end))
  })

const isPayload = (part: CheckpointPart): part is StoredBlock => !isHeader(part)

const damaged = (name: string, cause: unknown) => Effect.fail(asDamage(name, cause))
const asDamage = (name: string, cause: unknown): CheckpointDamaged =>
  new CheckpointDamaged({
    message: `Checkpoint ${name} is damaged: ${messageOf(cause)}.`
  })
