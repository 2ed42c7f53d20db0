import { Clock, Effect, FileSystem, Layer, Option, Path, type PlatformError, Random, Stream } from "effect"
import { type Blob, BlobError, type BlobFailure, Blobs, CHUNK_BYTES } from "../ports/blobs.ts"

const PARTIAL = ".partial"
/** A file that nobody has written to for so long was left behind by a process that died. */
const LEFT_BEHIND_MS = 3_600_000

/** Objects as files below `root`: written beside their place, synced, renamed. For one machine only. */
export const directoryBlobs = (root: string): Layer.Layer<Blobs, never, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    Blobs,
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const fileOf = (name: string) => path.join(root, name)
      const failed = (verb: string, name: string) => (cause: PlatformError.PlatformError) =>
        new BlobError({
          failure: failureOf(cause),
          message: `Cannot ${verb} ${fileOf(name)}: ${cause.message}. Check checkpoint.store: it must be writable and have room.`,
          cause
        })
      const unlessMissing = <A>(effect: Effect.Effect<A, PlatformError.PlatformError>) =>
        Effect.catch(effect, error => (isMissing(error) ? Effect.succeed(undefined) : Effect.fail(error)))

      const blobOf = (prefix: string, name: string) =>
        files.stat(path.join(root, prefix, name)).pipe(
          Effect.map((info): Blob => ({ name: prefix + name, bytes: Number(info.size) })),
          unlessMissing
        )

      const list = (prefix: string) =>
        files.readDirectory(fileOf(prefix)).pipe(
          unlessMissing,
          Effect.map(names => (names ?? []).filter(name => !name.endsWith(PARTIAL)).sort()),
          Effect.flatMap(names => Effect.forEach(names, name => blobOf(prefix, name))),
          Effect.map(blobs => blobs.filter(blob => blob !== undefined)),
          Effect.mapError(failed("list", prefix))
        )

      const put = <E, R>(name: string, bytes: Stream.Stream<Uint8Array, E, R>) =>
        Effect.scoped(
          Effect.gen(function* () {
            const target = fileOf(name)
            const say = Effect.mapError(failed("write", name))
            yield* say(files.makeDirectory(path.dirname(target), { recursive: true }))
            yield* say(sweep(path.dirname(target)))
            // A name of its own: somebody else may be writing the same object.
            const partial = `${target}.${yield* Random.nextInt}${PARTIAL}`
            yield* Effect.addFinalizer(() => Effect.ignore(files.remove(partial, { force: true })))
            const file = yield* say(files.open(partial, { flag: "wx" }))
            yield* Stream.runForEach(bytes, chunk => say(file.writeAll(chunk)))
            yield* say(file.sync)
            yield* say(files.rename(partial, target))
            const directory = yield* say(files.open(path.dirname(target), { flag: "r" }))
            yield* say(directory.sync)
          })
        )

      /** Removes what processes that died left half-written. */
      const sweep = (directory: string) =>
        Effect.gen(function* () {
          const old = (yield* Clock.currentTimeMillis) - LEFT_BEHIND_MS
          for (const name of yield* files.readDirectory(directory)) {
            if (!name.endsWith(PARTIAL)) continue
            const file = path.join(directory, name)
            const written = Option.getOrUndefined((yield* files.stat(file)).mtime)
            if (written !== undefined && written.getTime() < old) yield* files.remove(file, { force: true })
          }
        }).pipe(unlessMissing)

      return Blobs.of({
        list,
        put,
        read: name =>
          files.stream(fileOf(name), { chunkSize: CHUNK_BYTES }).pipe(Stream.mapError(failed("read", name))),
        remove: name => files.remove(fileOf(name), { force: true }).pipe(Effect.mapError(failed("remove", name)))
      })
    })
  )

const isMissing = ({ reason }: PlatformError.PlatformError): boolean => reason._tag === "NotFound"

const failureOf = (cause: PlatformError.PlatformError): BlobFailure => {
  if (isMissing(cause)) return "Missing"
  return cause.reason._tag === "PermissionDenied" ? "Refused" : "Unavailable"
}
