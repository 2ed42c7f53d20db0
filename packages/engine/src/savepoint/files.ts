import { type Entry, entriesIn, messageOf } from "@headrace/core"
import { Effect, Stream } from "effect"
import { type BlobError, Blobs } from "../ports/blobs.ts"
import { openCheckpoint } from "../recovery/checkpoint.ts"
import { type CheckpointHeader, CheckpointWriter } from "../recovery/checkpoint-file.ts"
import type { PartitionContents } from "./manifest.ts"
import { inSavepoints, type SavepointBlobs, SavepointError, savepointFile } from "./store.ts"

/** Writes entries, in key order over all of `runs`, as a checkpoint file; answers with its size. */
export const writeEntries = <E>(
  name: string,
  header: CheckpointHeader,
  runs: Stream.Stream<Iterable<Entry>, E>,
  breathe: Effect.Effect<void> = Effect.void
): Effect.Effect<number, BlobError | SavepointError | E, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    let size = 0
    const bytes = Stream.suspend(() => {
      const file = new CheckpointWriter()
      size = 0
      return Stream.make<Iterable<Uint8Array>[]>([file.begin(header)]).pipe(
        Stream.concat(Stream.map(runs, entries => file.add(entries))),
        Stream.concat(Stream.suspend(() => Stream.make(file.end()))),
        Stream.flatMap(blocks => pulled(name, blocks)),
        Stream.tap(block => {
          size += block.length
          return breathe
        })
      )
    })
    yield* blobs.put(name, bytes)
    return size
  })

/** One by one. Entries may be made as they are pulled, of what cannot be rewritten: no file comes of them then. */
const pulled = (name: string, blocks: Iterable<Uint8Array>) =>
  Stream.unfold(blocks[Symbol.iterator](), iterator =>
    Effect.try({
      try: () => {
        const { done, value } = iterator.next()
        return done ? undefined : ([value, iterator] as const)
      },
      catch: error => new SavepointError({ message: `${name} cannot be written: ${messageOf(error)}` })
    })
  )

/**
 * Hands over the entries that a savepoint has of a partition, in key order. Fails where its file is damaged or not the one
 * that the manifest is of, and with what `visit` throws.
 */
export const readEntries = (
  id: string,
  contents: PartitionContents,
  visit: (key: Uint8Array, value: Uint8Array) => void
): Effect.Effect<void, SavepointError, SavepointBlobs> =>
  Effect.gen(function* () {
    const { topic, partition, sourceOffset, entries, bytes } = contents
    // Nothing was ever committed, nor written.
    if (sourceOffset === null) return
    const name = savepointFile(id, contents)
    const blobs = yield* Blobs
    const blob = (yield* blobs.list(name.slice(0, name.lastIndexOf("/") + 1))).find(one => one.name === name)
    if (blob === undefined) return yield* Effect.fail(unusable(id, `its file ${name} is missing`))
    const checkpoint = yield* openCheckpoint(blob)
    const another = unusable(id, `${name} is not the file that was written for it`)
    if (blob.bytes !== bytes || checkpoint.sourceOffset !== sourceOffset) return yield* Effect.fail(another)
    let count = 0
    yield* Stream.runForEach(checkpoint.blocks, block =>
      Effect.try({
        try: () => {
          for (const [key, value] of entriesIn(block.bytes)) {
            count++
            visit(key, value)
          }
        },
        catch: error =>
          new SavepointError({
            message: `The state that the savepoint ${id} has of ${topic}/${partition} cannot be restored: ${messageOf(error)}`
          })
      })
    )
    if (count !== entries) return yield* Effect.fail(another)
  }).pipe(
    Effect.scoped,
    Effect.mapError(error =>
      error._tag === "CheckpointDamaged" ? unusable(id, error.message) : new SavepointError({ message: error.message })
    ),
    inSavepoints
  )

const unusable = (id: string, why: string): SavepointError =>
  new SavepointError({
    message: `The savepoint ${id} is not whole: ${why.replace(/\.$/, "")}. Restore another one, and delete this one: headrace savepoint delete ${id}`
  })
