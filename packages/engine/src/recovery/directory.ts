import { messageOf } from "@headrace/core"
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
      const directory = { root, files: yield* FileSystem.FileSystem, path: yield* Path.Path }
      const { files } = directory
      return Blobs.of({
        list: prefix => list(directory, prefix),
        put: (name, bytes) => put(directory, name, bytes),
        read: name =>
          files
            .stream(fileOf(directory, name), { chunkSize: CHUNK_BYTES })
            .pipe(Stream.mapError(failed(directory, "read", name))),
        remove: name =>
          files
            .remove(fileOf(directory, name), { force: true })
            .pipe(Effect.mapError(failed(directory, "remove", name)))
      })
    })
  )

interface Directory {
  readonly root: string
  readonly files: FileSystem.FileSystem
  readonly path: Path.Path
}

const fileOf = ({ root, path }: Directory, name: string): string => path.join(root, name)

const list = (directory: Directory, prefix: string) =>
  filesBelow(directory, prefix).pipe(
    // As a bucket has them: by their whole names, whatever directories they stand in.
    Effect.map(blobs => blobs.toSorted((a, b) => (a.name < b.name ? -1 : 1))),
    Effect.mapError(failed(directory, "list", prefix))
  )

/** On all levels. Directories are no objects: one that was emptied stays, since somebody may be about to write there. */
const filesBelow = (
  directory: Directory,
  prefix: string
): Effect.Effect<readonly Blob[], PlatformError.PlatformError> =>
  Effect.gen(function* () {
    const { files } = directory
    const names = yield* unlessMissing(files.readDirectory(fileOf(directory, prefix)))
    const found: Blob[] = []
    for (const one of names ?? []) {
      if (one.endsWith(PARTIAL)) continue
      const name = prefix + one
      // Undefined: it has been removed since its directory was read.
      const info = yield* unlessMissing(files.stat(fileOf(directory, name)))
      if (info?.type === "File") found.push({ name, bytes: Number(info.size) })
      if (info?.type === "Directory") found.push(...(yield* filesBelow(directory, `${name}/`)))
    }
    return found
  })

const put = <E, R>(directory: Directory, name: string, bytes: Stream.Stream<Uint8Array, E, R>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { files, path } = directory
      const target = fileOf(directory, name)
      const within = path.dirname(target)
      const say = Effect.mapError(failed(directory, "write", name))
      yield* say(files.makeDirectory(within, { recursive: true }))
      yield* say(sweep(directory, within))
      // A name of its own: somebody else may be writing the same object.
      const partial = `${target}.${yield* Random.nextInt}${PARTIAL}`
      yield* Effect.addFinalizer(() => Effect.ignore(files.remove(partial, { force: true })))
      const file = yield* say(files.open(partial, { flag: "wx" }))
      yield* Stream.runForEach(bytes, chunk => say(file.writeAll(chunk)))
      yield* say(file.sync)
      yield* say(files.rename(partial, target))
      yield* say((yield* say(files.open(within, { flag: "r" }))).sync)
    })
  )

/** Removes what processes that died left half-written. */
const sweep = ({ files, path }: Directory, within: string) =>
  Effect.gen(function* () {
    const old = (yield* Clock.currentTimeMillis) - LEFT_BEHIND_MS
    for (const name of yield* files.readDirectory(within)) {
      if (!name.endsWith(PARTIAL)) continue
      const file = path.join(within, name)
      const written = Option.getOrUndefined((yield* files.stat(file)).mtime)
      if (written !== undefined && written.getTime() < old) yield* files.remove(file, { force: true })
    }
  }).pipe(unlessMissing)

const unlessMissing = <A, R>(effect: Effect.Effect<A, PlatformError.PlatformError, R>) =>
  Effect.catch(effect, error => (isMissing(error) ? Effect.succeed(undefined) : Effect.fail(error)))

const isMissing = ({ reason }: PlatformError.PlatformError): boolean => reason._tag === "NotFound"

const failed = (directory: Directory, verb: string, name: string) => (cause: PlatformError.PlatformError) =>
  new BlobError({
    failure: failureOf(cause),
    // The system's own words, where there are some: Effect's are "Unknown" for a disk that is full.
    message: `Cannot ${verb} ${fileOf(directory, name)}: ${messageOf(cause.cause ?? cause)}. Check checkpoint.store: it must be writable and have room.`,
    cause
  })

const failureOf = (cause: PlatformError.PlatformError): BlobFailure => {
  if (isMissing(cause)) return "Missing"
  return cause.reason._tag === "PermissionDenied" ? "Refused" : "Unavailable"
}
