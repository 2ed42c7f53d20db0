import { Effect, FileSystem, Layer, Path } from "effect"
import { BlobError, Blobs } from "../ports/blobs.ts"

/** Objects as files below `root`: written beside their place, synced, renamed. For one machine only. */
export const directoryBlobs = (root: string): Layer.Layer<Blobs, never, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    Blobs,
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const fileOf = (name: string) => path.join(root, name)

      const list = (prefix: string) =>
        Effect.gen(function* () {
          const directory = fileOf(prefix)
          if (!(yield* files.exists(directory))) return []
          const names = yield* files.readDirectory(directory)
          return names
            .filter(name => !name.endsWith(PARTIAL))
            .sort()
            .map(name => prefix + name)
        }).pipe(Effect.mapError(failed("list", prefix)))

      const put = (name: string, bytes: Uint8Array) =>
        Effect.scoped(
          Effect.gen(function* () {
            const target = fileOf(name)
            yield* files.makeDirectory(path.dirname(target), { recursive: true })
            const file = yield* files.open(target + PARTIAL, { flag: "w" })
            yield* file.writeAll(bytes)
            yield* file.sync
            yield* files.rename(target + PARTIAL, target)
            const directory = yield* files.open(path.dirname(target), { flag: "r" })
            yield* directory.sync
          })
        ).pipe(Effect.mapError(failed("write", name)))

      return Blobs.of({
        list,
        put,
        get: name => files.readFile(fileOf(name)).pipe(Effect.mapError(failed("read", name))),
        remove: name => files.remove(fileOf(name)).pipe(Effect.mapError(failed("remove", name)))
      })

      function failed(verb: string, name: string) {
        return (cause: unknown) =>
          new BlobError({
            message: `Cannot ${verb} ${fileOf(name)}: ${cause instanceof Error ? cause.message : cause}. Check checkpoint.directory: it must be writable and have room.`,
            cause
          })
      }
    })
  )

const PARTIAL = ".partial"
