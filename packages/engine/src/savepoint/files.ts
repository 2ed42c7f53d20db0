import { type Entry, entriesIn } from "@headrace/core"
import { Effect, Stream } from "effect"
import { type BlobError, Blobs } from "../ports/blobs.ts"
import { openCheckpoint } from "../recovery/checkpoint.ts"
import { type CheckpointHeader, CheckpointWriter } from "../recovery/checkpoint-file.ts"
import { SavepointError } from "./store.ts"

/** Writes entries, in key order over all of `runs`, as a checkpoint file; answers with its size. */
export const writeEntries = <E>(
  name: string,
  header: CheckpointHeader,
  runs: Stream.Stream<Iterable<Entry>, E>,
  breathe: Effect.Effect<void> = Effect.void
): Effect.Effect<number, BlobError | E, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    let size = 0
    const bytes = Stream.suspend(() => {
      const file = new CheckpointWriter()
      size = 0
      return Stream.make<Iterable<Uint8Array>[]>([file.begin(header)]).pipe(
        Stream.concat(Stream.map(runs, entries => file.add(entries))),
        Stream.concat(Stream.suspend(() => Stream.make(file.end()))),
        Stream.flatMap(blocks => Stream.fromIterable(blocks, { chunkSize: 1 })),
        Stream.tap(block => {
          size += block.length
          return breathe
        })
      )
    })
    yield* blobs.put(name, bytes)
    return size
  })

/** Hands over the entries of a checkpoint file, in key order. */
export const readEntries = (
  name: string,
  visit: (key: Uint8Array, value: Uint8Array) => void
): Effect.Effect<void, SavepointError, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const blob = (yield* blobs.list(name.slice(0, name.lastIndexOf("/") + 1))).find(one => one.name === name)
    if (blob === undefined)
      return yield* new SavepointError({
        message: `The savepoint is not whole: its file ${name} is missing. If somebody was deleting it, delete it again`
      })
    const checkpoint = yield* openCheckpoint(blob)
    yield* Stream.runForEach(checkpoint.blocks, ({ bytes }) =>
      Effect.sync(() => {
        for (const [key, value] of entriesIn(bytes)) visit(key, value)
      })
    )
  }).pipe(
    Effect.scoped,
    Effect.mapError(error => new SavepointError({ message: error.message }))
  )
